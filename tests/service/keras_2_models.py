"""Models that Keras 2 writes, and what it computes there: a program, run in a process that has no Keras 3.

`python keras_2_models.py FOLDER` writes every model of `MODELS` as `<name>.h5`, `<name>.keras` and `<name>.savedmodel`, as far as
Keras 2 can, and the values of its layers by address to `<name>.npz`.
"""

import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras
from keras_2_reference import inputs_of, values_of
from tf_keras import layers
from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM


def steps():
    """Recurrent layers with the `hard_sigmoid` of Keras 2, which is another function in Keras 3."""
    start = keras.Input((6, 3), name="steps")
    hard = {"return_sequences": True, "recurrent_activation": "hard_sigmoid"}
    hidden = layers.LSTM(4, name="lstm", **hard)(start)
    hidden = layers.GRU(3, name="gru", **hard)(hidden)
    hidden = layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="both")(hidden)
    hidden = layers.SpatialDropout1D(0.5, name="dropped")(hidden)
    hidden = layers.TimeDistributed(layers.Dense(3, activation="hard_sigmoid", name="each"), name="steps_of")(
        hidden
    )
    hidden = layers.SimpleRNN(2, name="simple")(hidden)
    return keras.Model(start, layers.Dense(2, activation="softmax", name="scores")(hidden))


def videos():
    start = keras.Input((3, 6, 6, 1), name="video")
    hidden = layers.ConvLSTM2D(2, 3, return_sequences=True, name="conv_lstm")(start)
    return keras.Model(start, layers.Conv3D(1, 2, activation="hard_sigmoid", name="conv")(hidden))


def images():
    """Nested models of both kinds, functions of TensorFlow as layers, and a normalization that was called for training."""
    tail = keras.Sequential(
        [
            layers.SeparableConv2D(4, 3, activation="relu", name="separable"),
            layers.SpatialDropout2D(0.5, name="dropped"),
        ],
        name="tail",
    )
    inner = keras.Input((6, 6, 3), name="inner")
    block = keras.Model(
        inner, layers.Add(name="sum")([inner, tail(layers.ZeroPadding2D(1)(inner))[..., :3]]), name="block"
    )
    start = keras.Input((8, 8, 3), name="images")
    hidden = layers.Conv2D(3, 3, name="conv")(start / 2.0 - 0.25)
    hidden = layers.BatchNormalization(name="normal")(hidden, training=True)
    hidden = tf.nn.relu6(block(block(hidden)))
    hidden = keras.Sequential(
        [layers.GlobalAveragePooling2D(name="pool"), layers.Dense(2, name="dense")], name="head"
    )(hidden)
    return keras.Model(start, layers.Softmax(name="scores")(hidden), name="outer")


def chain():
    """A functional model in a sequential one, and names with slashes as those of MobileNet."""
    start = keras.Input((6, 6, 4), name="inner_input")
    hidden = layers.Conv2D(4, 1, use_bias=False, name="b/expand")(start)
    hidden = layers.BatchNormalization(name="b/expand/BatchNorm")(hidden)
    hidden = layers.ReLU(6.0, name="b/expand/relu")(hidden)
    inner = keras.Model(start, hidden, name="inner")
    return keras.Sequential(
        [
            layers.Conv2D(4, 3, input_shape=(8, 8, 3), name="conv"),
            inner,
            layers.LeakyReLU(0.25, name="bent"),
            layers.Flatten(name="flat"),
            layers.Dense(3, name="dense"),
            layers.Dense(2, name="scores"),
        ],
        name="chain",
    )


def words():
    start = keras.Input((6,), dtype="int32", name="words")
    hidden = layers.Embedding(9, 4, mask_zero=True, name="embedded")(start)
    joined = layers.Concatenate(name="joined")([hidden, layers.Dense(2, name="dense")(hidden)])
    return keras.Model(start, layers.LSTM(3, name="lstm")(joined))


def mixed():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        start = keras.Input((8, 8, 1), name="images")
        hidden = layers.BatchNormalization(name="normal")(
            layers.Conv2D(4, 3, activation="relu", name="conv")(start)
        )
        scores = layers.Dense(3, activation="softmax", dtype="float32", name="scores")(
            layers.Flatten(name="flat")(hidden)
        )
        return keras.Model(start, scores)
    finally:
        keras.mixed_precision.set_global_policy("float32")


def attended():
    start, other = keras.Input((5, 4), name="start"), keras.Input((6, 4), name="other")
    hidden = layers.Attention(name="plain")([start, other])
    hidden = layers.AdditiveAttention(name="additive")([hidden, other])
    return keras.Model([start, other], layers.MultiHeadAttention(2, 3, name="several")(hidden, other))


def pictures():
    """Layers that prepare pictures, those that change them in training only, and convolutions that nothing else has."""
    return keras.Sequential(
        [
            layers.Rescaling(1 / 127.5, -1, input_shape=(10, 10, 3), name="scaled"),
            layers.Resizing(9, 9, name="sized"),
            layers.CenterCrop(8, 8, name="cut"),
            layers.RandomFlip(name="flipped"),
            layers.RandomRotation(0.1, name="turned"),
            layers.RandomZoom(0.1, name="near"),
            layers.GaussianNoise(0.1, name="noisy"),
            layers.AlphaDropout(0.1, name="dropped"),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Conv2DTranspose(4, 3, strides=2, name="larger"),
            layers.UpSampling2D(interpolation="bilinear", name="blurred"),
            layers.Conv2D(2, 3, dilation_rate=2, name="wide"),
        ],
        name="pictures",
    )


def stateful():
    start = keras.Input(batch_shape=(2, 5, 3), name="start")
    return keras.Model(start, layers.Dense(2, name="end")(layers.LSTM(4, stateful=True, name="steps")(start)))


MODELS = (steps, videos, images, chain, words, mixed, attended, pictures, stateful)
AS_ARCHIVE = ("steps", "chain", "words", "mixed")
AS_SAVED_MODEL = ("steps", "videos", "images", "chain", "words", "mixed", "attended")


def main(folder):
    for make in MODELS:
        keras.utils.set_random_seed(1)
        keras.backend.clear_session()
        model = scattered(make())
        write(model, folder, make.__name__)
    cudnn(folder)


def write(model, folder, name):
    model.save(folder / f"{name}.h5")
    if name in AS_ARCHIVE:
        model.save(folder / f"{name}.keras")
    if name in AS_SAVED_MODEL:
        save_folder(model, folder / f"{name}.savedmodel", whole=name == "chain")
    inputs = inputs_of(model)
    np.savez(folder / f"{name}.npz", *inputs, **values_of(model, inputs))


def save_folder(model, path, *, whole):
    """Save as Keras 2 does, or without the functions of layers, which nobody reads: for recurrent layers they take long."""
    named = zip(model.inputs, model.input_names, strict=True)

    @tf.function(input_signature=[tf.TensorSpec(each.shape, each.dtype, name=name) for each, name in named])
    def serve(*inputs):
        given = inputs[0] if len(inputs) == 1 else list(inputs)
        return {model.output_names[0]: model(given, training=False)}

    options = {} if whole else {"save_traces": False, "signatures": serve}
    model.save(path, save_format="tf", **options)


def scattered(model):
    """The model with weights that nothing else has: biases and statistics that are not zero and one."""
    random = np.random.default_rng(1)
    model.set_weights(
        [
            random.uniform(0.1, 0.5, each.shape) * random.choice([1, -1]) ** (each.ndim > 1)
            for each in model.get_weights()
        ]
    )
    return model


def cudnn(folder):
    """Layers that only a GPU runs. Keras 2 arranges their weights anew for the layers that every device runs."""
    start = keras.Input((6, 3), name="steps")
    model = keras.Model(
        start, CuDNNGRU(2, name="gru")(CuDNNLSTM(4, return_sequences=True, name="lstm")(start))
    )
    scattered(model).save(folder / "cudnn.h5")
    save_folder(model, folder / "cudnn.savedmodel", whole=False)
    same = keras.Model(
        start, layers.GRU(2, name="gru")(layers.LSTM(4, return_sequences=True, name="lstm")(start))
    )
    same.load_weights(folder / "cudnn.h5")
    inputs = inputs_of(same)
    np.savez(folder / "cudnn.npz", *inputs, **values_of(same, inputs))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    # TensorFlow takes two seconds to end in good order.
    os._exit(0)
