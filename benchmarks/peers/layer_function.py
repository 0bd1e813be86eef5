"""The model cut at one layer, as one prebuilt function: the usual code of a server for that layer."""

import io
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

Array = np.ndarray


def layer_function(path: str, layer: str) -> Callable[[Array], Array]:
    """A function with a fixed signature, traced and run once, from a batch of images to the layer's values."""
    model = keras.models.load_model(path, compile=False)
    inside = keras.Model(model.inputs, model.get_layer(layer).output)
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)]

    @tf.function(input_signature=signature)
    def run(images: tf.Tensor) -> tf.Tensor:
        return inside(images, training=False)

    run(tf.zeros((1, *model.input_shape[1:])))
    return lambda images: run(tf.constant(images)).numpy()


def decode(data: bytes) -> Array:
    """An image file in the range -1 to 1, as the preset "signed" makes it: (height, width, channels)."""
    return np.asarray(Image.open(io.BytesIO(data)), np.float32) / 127.5 - 1
