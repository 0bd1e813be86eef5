"""`.tflite` files: converted from small models, and changed afterwards, which the converter would not do."""

import flatbuffers
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema


def converted(model, images=None, whole=False):
    """A file in float32; with images, in int8, and with `whole`, its inputs and outputs, too.

    Args:
        model: the Keras model.
        images: what it is calibrated with, one array an input.
        whole: whether its inputs and outputs are int8.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if images is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([row[np.newaxis]] for row in images)
    if whole:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def changed(data, change):
    """The file after `change` was called with what is in it."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    change(model)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tensor(model, name):
    """The tensor of a model that is computed whose name has that in it."""
    (graph,) = model.subgraphs
    computed = {index for operator in graph.operators for index in operator.outputs}
    (found,) = (
        each for index, each in enumerate(graph.tensors) if index in computed and name in each.name.decode()
    )
    return found
