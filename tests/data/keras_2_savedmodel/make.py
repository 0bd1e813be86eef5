"""Make the SavedModel beside this file as Keras 2 made them, and what its layers computed there.

Run it with Python 3.11 in an environment of its own: `pip install tensorflow-cpu==2.15.1`, then `python make.py`.
"""

from pathlib import Path

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers

HERE = Path(__file__).parent


def backbone():
    start = keras.Input((None, None, 3))
    hidden = layers.Conv2D(3, 3, padding="same", activation="relu", name="conv")(start)
    return keras.Model(start, layers.BatchNormalization(name="bn")(hidden), name="backbone")


def model():
    images = keras.Input((8, 8, 3), name="images")
    shared = backbone()
    hidden = layers.ReLU(6.0, name="between")(shared(images))
    hidden = layers.GlobalAveragePooling2D(name="pool")(shared(hidden))
    mix = layers.Dense(3, activation="tanh", name="mix")
    hidden = mix(mix(hidden))
    scores = layers.Dense(4, activation="softmax", name="scores")(hidden)
    return keras.Model(images, scores, name="net")


def values_of(net, images):
    shared, calls = net.get_layer("backbone"), {}
    calls["backbone/conv"] = shared.get_layer("conv")(images)
    calls["backbone/bn"] = shared.get_layer("bn")(calls["backbone/conv"])
    calls["between"] = net.get_layer("between")(calls["backbone/bn"])
    calls["backbone/conv:1"] = shared.get_layer("conv")(calls["between"])
    calls["backbone/bn:1"] = shared.get_layer("bn")(calls["backbone/conv:1"])
    calls["pool"] = net.get_layer("pool")(calls["backbone/bn:1"])
    calls["mix"] = net.get_layer("mix")(calls["pool"])
    calls["mix:1"] = net.get_layer("mix")(calls["mix"])
    calls["scores"] = net(images)
    return {address: values.numpy() for address, values in calls.items()}


if __name__ == "__main__":
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    images, classes = random.random((4, 8, 8, 3), np.float32), np.eye(4, dtype=np.float32)
    net = model()
    # This optimizer keeps slots, which later versions of TensorFlow cannot restore.
    net.compile(keras.optimizers.legacy.Adam(0.01), "categorical_crossentropy")
    net.fit(images, classes, epochs=20, verbose=0)
    net.save(HERE / "model.savedmodel", save_format="tf")
    np.savez_compressed(HERE / "values.npz", images=images[:2], **values_of(net, images[:2]))
