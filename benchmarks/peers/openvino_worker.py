"""OpenVINO worker for one layer of the model that the service serves."""

import sys

import keras
import numpy as np
import openvino
import tensorflow as tf
from worker import read_image, work


def main(path: str, layer: str) -> None:
    """Serve the tasks."""
    model = keras.models.load_model(path, compile=False)
    inside = keras.Model(model.inputs, model.get_layer(layer).output)
    shape = (1, *model.input_shape[1:])
    traced = tf.function(lambda image: inside(image, training=False))
    concrete = traced.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    # Left alone, OpenVINO computes in bfloat16 where the processor can, which TensorFlow does not.
    exact = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.compile_model(openvino.convert_model(concrete), "CPU", exact)
    request = compiled.create_infer_request()
    expected = inside(np.ones(shape, np.float32)).numpy()
    np.testing.assert_allclose(request.infer([np.ones(shape, np.float32)])[0], expected, rtol=1e-2, atol=1e-3)
    work({"run": lambda image: request.infer([read_image(image)])[0].copy()})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
