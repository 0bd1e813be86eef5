"""A model of every kind that people build with Keras, and what each is called with."""

import keras
import numpy as np
from graph_models import noise, scatter_statistics
from keras import layers, ops

WORDS = np.array([[1, 2, 3, 0, 0, 0], [4, 0, 5, 6, 7, 8], [1, 1, 1, 1, 1, 1]], np.int32)
HALF = ("mixed_float16", "mixed_bfloat16", "float16")


def words():
    """Embedded words, of which zeros are padding."""
    start = keras.Input((6,), dtype="int32", name="words")
    return start, layers.Embedding(9, 4, mask_zero=True, name="embedding")(start)


def masked_recurrence():
    start, hidden = words()
    hidden = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both")(hidden)
    hidden = layers.TimeDistributed(layers.Dense(3, activation="relu"), name="each")(hidden)
    sequence, state = layers.GRU(3, return_sequences=True, return_state=True, name="gru")(hidden)
    last = layers.SimpleRNN(2, go_backwards=True, name="last")(sequence)
    return keras.Model(start, [last, state]), WORDS


def masked_attention():
    start, hidden = words()
    several = layers.MultiHeadAttention(2, 3, name="several")(hidden, hidden)
    grouped = layers.GroupQueryAttention(3, 2, 1, name="grouped")(hidden, hidden)
    both = layers.Add(name="both")([several, grouped])
    plain = layers.Attention(name="plain")([both, hidden])
    additive = layers.AdditiveAttention(name="additive")([plain, hidden])
    return keras.Model(start, layers.GlobalAveragePooling1D(name="pool")(additive)), WORDS


def recurrence_given_a_state():
    steps, other = keras.Input((5, 3), name="steps"), keras.Input((4, 2), name="other")
    *_, hidden, cell = layers.LSTM(4, return_state=True, name="encoder")(steps)
    decoded = layers.LSTM(4, return_sequences=True, name="decoder")(other, initial_state=[hidden, cell])
    return keras.Model([steps, other], decoded), [noise(3, 5, 3), noise(3, 4, 2, seed=1)]


def unrolled_recurrence():
    start = keras.Input((4, 3), name="start")
    return keras.Model(start, layers.GRU(2, unroll=True, name="gru")(start)), noise(3, 4, 3)


def recurrence_over_images():
    start = keras.Input((None, 6, 6, 2), name="start")
    hidden = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True, name="film")(start)
    return keras.Model(start, layers.ConvLSTM2D(2, 3, name="last")(hidden)), noise(2, 4, 6, 6, 2)


class Positions(layers.Layer):
    """Adds what it knows of every place, which is the same for all images."""

    def __init__(self, **options):
        super().__init__(**options)
        self.table = layers.Embedding(20, 4, name="table")

    def call(self, inputs):
        return inputs + self.table(ops.arange(inputs.shape[1]))


class ClassToken(layers.Layer):
    """Puts one more token before those of each image."""

    def build(self, _):
        self.token = self.add_weight(shape=(1, 1, 4), initializer="normal", name="token")
        self.same = layers.Identity(name="same")

    def call(self, inputs):
        tokens = ops.tile(self.token, [ops.shape(inputs)[0], 1, 1])
        return ops.concatenate([self.same(tokens), inputs], 1)


def vision_transformer():
    start = keras.Input((8, 8, 3), name="start")
    hidden = layers.Conv2D(4, 4, strides=4, name="patches")(start)
    hidden = Positions(name="positions")(ClassToken(name="token")(layers.Reshape((4, 4), name="row")(hidden)))
    for block in ("first", "second"):
        known = layers.LayerNormalization(name=f"{block}_norm")(hidden)
        attended, scores = layers.MultiHeadAttention(2, 2, name=f"{block}_attention")(
            known, known, return_attention_scores=True, use_causal_mask=True
        )
        hidden = layers.Add(name=f"{block}_add")([hidden, attended])
        hidden = layers.Dense(4, activation="gelu", name=f"{block}_mlp")(hidden)
    return keras.Model(start, [hidden[:, 0], scores]), noise(3, 8, 8, 3)


def channels_first():
    first = {"data_format": "channels_first"}
    start = keras.Input((4, 8, 8), name="start")
    hidden = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv", **first)(start)
    hidden = layers.BatchNormalization(axis=1, name="norm")(hidden)
    hidden = layers.DepthwiseConv2D(3, activation="relu", name="depthwise", **first)(hidden)
    hidden = layers.SeparableConv2D(4, 3, name="separable", **first)(hidden)
    hidden = layers.Conv2DTranspose(4, 3, strides=2, name="transpose", **first)(hidden)
    highest = layers.MaxPooling2D(name="highest", **first)(hidden)
    mean = layers.AveragePooling2D(2, padding="same", name="mean", **first)(hidden)
    larger = layers.UpSampling2D(name="larger", **first)(layers.Add(name="add")([mean, mean]))
    normal = layers.GroupNormalization(2, axis=1, name="groups")(
        layers.ZeroPadding2D(name="pad", **first)(highest)
    )
    pooled = layers.GlobalAveragePooling2D(name="pooled", **first)(larger)
    return scatter_statistics(keras.Model(start, [pooled, normal])), noise(2, 4, 8, 8)


def channels_first_of_other_ranks():
    first = {"data_format": "channels_first"}
    start = keras.Input((3, 4, 6, 6), name="start")
    cubes = layers.MaxPooling3D(2, name="largest", **first)(layers.Conv3D(4, 2, name="cubes", **first)(start))
    film = layers.ConvLSTM2D(2, 2, name="film", **first)(start)
    lines = layers.Conv1D(3, 2, name="lines", **first)(layers.Reshape((3, -1), name="row")(start))
    lines = layers.MaxPooling1D(2, name="largest_lines", **first)(lines)
    return keras.Model(start, [cubes, film, lines]), noise(2, 3, 4, 6, 6)


def of_precision(policy):
    def model():
        start = keras.Input((6, 6, 3), name="start")
        hidden = layers.Conv2D(4, 3, activation="relu", dtype=policy, name="conv")(start)
        hidden = layers.BatchNormalization(dtype=policy, name="norm")(hidden)
        hidden = layers.Reshape((-1, 4), dtype=policy, name="row")(hidden)
        hidden = layers.MultiHeadAttention(2, 3, dtype=policy, name="attention")(hidden, hidden)
        hidden = layers.LSTM(3, return_sequences=True, dtype=policy, name="lstm")(hidden)
        hidden = layers.LayerNormalization(dtype=policy, name="layer_norm")(hidden)
        hidden = layers.GlobalAveragePooling1D(dtype=policy, name="pool")(hidden)
        return keras.Model(start, layers.Dense(3, dtype="float32", name="scores")(hidden)), noise(3, 6, 6, 3)

    return model


def integers():
    """Pixels, flags and the numbers of words, each of its own type."""
    pixels = keras.Input((4, 4, 3), dtype="uint8", name="pixels")
    flags, word = keras.Input((3,), dtype="bool", name="flags"), keras.Input((), dtype="int64", name="word")
    seen = layers.Flatten(name="flat")(layers.Rescaling(1 / 255, name="scale")(pixels))
    known = layers.Embedding(100_000, 4, name="table")(word)
    everything = layers.Concatenate(name="everything")([seen, ops.cast(flags, "float32"), known])
    random = np.random.default_rng(0)
    return keras.Model([pixels, flags, word], layers.Dense(2, name="dense")(everything)), [
        random.integers(0, 256, (3, 4, 4, 3), np.uint8),
        noise(3, 3) > 0,
        random.integers(0, 100_000, 3, np.int64),
    ]


def nests_of_inputs():
    a, b, c = (keras.Input((size,), name=name) for size, name in ((4, "a"), (3, "b"), (2, "c")))
    hidden = [layers.Dense(2, name=f"of_{each.name}")(each) for each in (a, b, c)]
    outputs = {"sum": layers.Add(name="add")(hidden), "each": hidden}
    model = keras.Model({"last": c, "first": [a, b]}, outputs)
    return model, {"last": noise(3, 2), "first": [noise(3, 4, seed=1), noise(3, 3, seed=2)]}


def models_in_models():
    """Three deep; the innermost is called four times, twice by the same model."""
    inner = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4, activation="relu", name="dense"),
            layers.BatchNormalization(name="norm"),
        ],
        name="inner",
    )
    start = keras.Input((4,), name="in")
    twice = keras.Model(
        start, [inner(inner(start) + start), layers.Dense(2, name="dense")(start)], name="twice"
    )
    start = keras.Input((4,), name="in")
    deep = keras.Model(start, twice(layers.Dense(4, name="dense")(start)), name="deep")
    start = keras.Input((4,), name="start")
    model = keras.Model(start, [*deep(start), *twice(start), inner(start)])
    return scatter_statistics(model), noise(3, 4)


def shared_with_several_outputs():
    left, right = keras.Input((5, 3), name="left"), keras.Input((5, 3), name="right")
    shared = layers.LSTM(2, return_sequences=True, return_state=True, name="shared")
    return keras.Model([left, right], [*shared(left), *shared(right)]), [
        noise(3, 5, 3),
        noise(3, 5, 3, seed=1),
    ]


def plain_operations():
    start = keras.Input((4, 6), name="start")
    one, other = ops.split(ops.relu(start) * 2 + 1, 2, axis=-1)
    mixed = ops.einsum("bij,bkj->bik", one, ops.flip(other, 1))
    best, places = ops.top_k(mixed, 2)
    return keras.Model(start, [best, places, ops.abs(ops.rfft(start)[0])]), noise(3, 4, 6)


class Deviation(layers.Layer):
    """Tells each image how the images of its batch differ, as discriminators do."""

    def __init__(self, **options):
        super().__init__(**options)
        self.same = layers.Identity(name="same")

    def call(self, inputs):
        return inputs + self.same(ops.mean(ops.var(inputs, axis=0)))


class HiddenDeviation(layers.Layer):
    """The same with no layer inside that shows it."""

    def call(self, inputs):
        return inputs + ops.var(inputs, axis=0, keepdims=True)


def images_mixed():
    start = keras.Input((4,), name="start")
    return keras.Model(start, layers.Dense(2, name="dense")(Deviation(name="deviation")(start))), noise(3, 4)


def images_mixed_out_of_sight():
    start = keras.Input((None, 4), name="start")
    hidden = HiddenDeviation(name="deviation")(layers.Dense(3, name="before")(start))
    return keras.Model(start, layers.Dense(2, name="dense")(hidden)), noise(3, 5, 4)


class TimeMajor(layers.Layer):
    """Works with time as the first axis."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(4, name="dense")

    def call(self, inputs):
        return ops.transpose(self.dense(ops.transpose(inputs, (1, 0, 2))), (1, 0, 2))


def time_first():
    start = keras.Input((None, 4), name="start")
    return keras.Model(start, TimeMajor(name="turned")(start)), noise(3, 3, 4)


class Queries(layers.Layer):
    """Queries, keys and values as one tensor with the three in front, as vision transformers do."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(6, name="dense")
        self.norm = layers.LayerNormalization(name="norm")

    def call(self, inputs):
        all_three = ops.reshape(self.dense(inputs), (-1, 5, 3, 2))
        query, key, value = ops.unstack(self.norm(ops.transpose(all_three, (2, 0, 1, 3))), 3)
        return query * key + value


def three_in_front():
    start = keras.Input((5, 4), name="start")
    return keras.Model(start, Queries(name="queries")(start)), noise(3, 5, 4)


class Windows(layers.Layer):
    """Folds the windows of an image into the batch axis, as shifted-window transformers do."""

    def __init__(self, **options):
        super().__init__(**options)
        self.norm = layers.LayerNormalization(name="norm")

    def call(self, inputs):
        windows = ops.reshape(inputs, (-1, 2, 3, 2, 3, 4))
        windows = self.norm(ops.reshape(ops.transpose(windows, (0, 1, 3, 2, 4, 5)), (-1, 9, 4)))
        windows = ops.transpose(ops.reshape(windows, (-1, 2, 2, 3, 3, 4)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(windows, (-1, 6, 6, 4))


def windows_in_the_batch():
    start = keras.Input((6, 6, 4), name="start")
    hidden = Windows(name="windows")(layers.Conv2D(4, 1, name="conv")(start))
    return keras.Model(start, layers.Conv2D(2, 1, name="last")(hidden)), noise(3, 6, 6, 4)


def four_bits():
    start = keras.Input((6,), dtype="int32", name="words")
    hidden = layers.Embedding(9, 4, name="embedding")(start)
    return quantized(
        keras.Model(start, layers.Dense(3, activation="relu", name="dense")(hidden)), "int4"
    ), WORDS


def eight_bits():
    start = keras.Input((6,), dtype="int32", name="words")
    hidden = layers.Embedding(9, 4, name="embedding")(start)
    hidden = layers.EinsumDense("abc,cde->abde", (None, 2, 3), name="heads")(hidden)
    hidden = layers.Reshape((6, 6), name="row")(hidden)
    return quantized(
        keras.Model(start, layers.Dense(3, activation="relu", name="dense")(hidden)), "int8"
    ), WORDS


def quantized(model, mode):
    model.quantize(mode)
    return model


KINDS = (
    masked_recurrence,
    masked_attention,
    recurrence_given_a_state,
    unrolled_recurrence,
    recurrence_over_images,
    vision_transformer,
    channels_first,
    channels_first_of_other_ranks,
    integers,
    nests_of_inputs,
    models_in_models,
    shared_with_several_outputs,
    plain_operations,
    images_mixed,
    images_mixed_out_of_sight,
    time_first,
    three_in_front,
    windows_in_the_batch,
    four_bits,
    eight_bits,
)
