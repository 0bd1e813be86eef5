"""tf-explain and keract, for one layer of MobileNetV2. Neither runs on Keras 3, so they get the legacy Keras.

tf-keras-vis shows what maximises an activation, not an activation, so it has nothing to compare here.
"""

import os
import sys
import tempfile

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import keract
import matplotlib as mpl
import tf_keras
from tf_explain.core.activations import ExtractActivations
from worker import read_image, work

mpl.use("Agg")


class OneLayer(ExtractActivations):
    """tf-explain for one layer: it passes a list of one output and expects an array, which TensorFlow no longer returns."""

    @staticmethod
    def generate_activations_graph(model: tf_keras.Model, layer: str) -> tf_keras.Model:
        """The original method, with one output instead of a list of one."""
        inside = tf_keras.Model(model.inputs, model.get_layer(layer).output)
        inside.compile(optimizer="sgd", loss="categorical_crossentropy")
        return inside


def main(layer: str) -> None:
    """Serve the tasks."""
    model = tf_keras.applications.MobileNetV2(weights=None)
    model.compile(loss="categorical_crossentropy", optimizer="adam")
    folder = tempfile.mkdtemp()
    explainer = OneLayer()

    def tf_explain(image: str) -> None:
        grid = explainer.explain((read_image(image), None), model, layer)
        explainer.save(grid, folder, "grid.png")

    def keract_arrays(image: str) -> dict:
        return keract.get_activations(model, read_image(image), layer_names=layer)

    def keract_picture(image: str) -> None:
        keract.display_activations(keract_arrays(image), save=True, directory=folder)

    work({"tf-explain": tf_explain, "keract": keract_arrays, "keract picture": keract_picture})


if __name__ == "__main__":
    main(sys.argv[1])
