"""Models whose layers define gradients of their own."""

import importlib.util
import json

import keras
from keras import layers

NAMES = ("swish", "steps", "recomputed", "compiled", "grouped", "int8", "recurrent")
"""Models whose gradients are those of TensorFlow."""

PLUGIN = """
import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("own_gradients")
class Steps(keras.layers.Layer):
    '''Rounds; its gradient is that of twice the identity, and of a weight that the forward pass does not read.'''

    def build(self, shape):
        self.slope = self.add_weight(shape=(shape[-1],), initializer="ones", name="slope")

    def call(self, values):
        slope = self.slope

        @tf.custom_gradient
        def rounded(values):
            return keras.ops.round(values), lambda gradient: 2 * slope * gradient

        return rounded(values)


@keras.saving.register_keras_serializable("own_gradients")
class Kept(keras.layers.Layer):
    '''Computes its values again for the gradient.'''

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 4), initializer="glorot_uniform", name="kernel")

    def call(self, values):
        return tf.recompute_grad(lambda each: tf.nn.silu(tf.tensordot(each, self.kernel, 1)))(values)


@tf.custom_gradient
def halved(values):
    return keras.ops.round(values), lambda gradient: 0.5 * gradient


@keras.saving.register_keras_serializable("own_gradients")
class Compiled(keras.layers.Layer):
    '''Defines a gradient inside of a compiled function that another one calls.'''

    def call(self, values):
        return _outer(values)


@tf.function
def _outer(values):
    return 3 * _inner(values)


@tf.function
def _inner(values):
    return halved(values)


@keras.saving.register_keras_serializable("own_gradients")
class Branching(keras.layers.Layer):
    '''The same in a function that only AutoGraph can trace.'''

    def call(self, values):
        return _chosen(values)


@tf.function
def _chosen(values):
    if tf.reduce_sum(values) > 1e9:
        values = -values
    return halved(values)
"""


def plugin_classes(folder):
    """The classes of the plugin, which is written into a folder."""
    (folder / "classes.py").write_text(PLUGIN, "utf-8")
    (folder / "layerscope.json").write_text(json.dumps({"plugins": ["classes.py"]}), "utf-8")
    # From the file, because AutoGraph reads the source.
    spec = importlib.util.spec_from_file_location("own_gradients_classes", folder / "classes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


def model_of(*hidden, **options):
    start = keras.Input((10, 10, 3), name="picture")
    values = layers.Conv2D(4, 3, name="stem", **options)(start)
    for each in hidden:
        values = each(values)
    pooled = layers.GlobalAveragePooling2D(name="pool")(values)
    return keras.Model(
        start, layers.Dense(3, name="kind")(layers.Dense(5, activation="swish", name="dense")(pooled))
    )


def recurrent():
    start = keras.Input((6, 6, 3), name="picture")
    rows = layers.Reshape((36, 4), name="rows")(layers.Conv2D(4, 3, padding="same", name="stem")(start))
    states = layers.GRU(3, activation="swish", return_sequences=True, name="states")(rows)
    return keras.Model(start, layers.Dense(3, name="kind")(layers.Flatten(name="flat")(states)))


def stopped():
    """Layers before a step, with several maps an image, and beside the output."""
    start = keras.Input((8, 8, 3), name="picture")
    step = keras.ops.round(layers.Conv2D(3, 1, name="before_step")(start))
    smooth = layers.Conv2D(3, 1, name="smooth")(start)
    film = layers.Reshape((2, 4, 8, 3), name="film")(layers.Add(name="sum")([step, smooth]))
    film = layers.TimeDistributed(layers.Conv2D(2, 1, name="each"), name="apart")(film)
    whole = layers.Conv2D(3, 1, name="whole")(layers.Reshape((8, 8, 2), name="joined")(film))
    beside = keras.ops.argmax(layers.Conv2D(3, 1, name="beside")(start), -1)
    scores = layers.Dense(3, name="kind")(layers.GlobalAveragePooling2D(name="pool")(whole))
    return keras.Model(start, [scores, beside])


def write_models(directory):
    """Write the models as `<name>/1`, and return them by name."""
    keras.utils.set_random_seed(3)
    folders = {name: directory / name / "1" for name in (*NAMES, "branching", "stopped")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    own = {name: plugin_classes(folders[name]) for name in ("steps", "recomputed", "compiled", "branching")}
    models = {
        "swish": model_of(layers.DepthwiseConv2D(3, activation="silu", name="depth"), activation="swish"),
        "steps": model_of(layers.Rescaling(5.0, name="scale"), own["steps"]["Steps"](name="steps")),
        "recomputed": model_of(own["recomputed"]["Kept"](name="kept")),
        "compiled": model_of(
            layers.Rescaling(5.0, name="scale"), own["compiled"]["Compiled"](name="compiled")
        ),
        "branching": model_of(own["branching"]["Branching"](name="branching")),
        "grouped": model_of(
            layers.Conv2D(6, 3, groups=2, padding="same", name="groups"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
        ),
        "int8": model_of(activation="relu"),
        "recurrent": recurrent(),
        "stopped": stopped(),
    }
    models["int8"].quantize("int8")
    models["steps"].get_layer("steps").slope.assign([0.5, 1.0, -1.0, 2.0])
    for name, model in models.items():
        model.save(folders[name] / "model.keras")
    return models
