"""tf-keras-vis and tf-explain, explaining a network. Neither runs on Keras 3, so they get the legacy Keras."""

import os
import sys
import tempfile

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tf_keras
from tf_explain.core.grad_cam import GradCAM
from tf_explain.core.occlusion_sensitivity import OcclusionSensitivity
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.scorecam import Scorecam
from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore
from worker import read_image, work

LAST, NARROW, PATCH, BATCH = "out_relu", "block_15_add", 28, 32


def main(network: str, weights: str, explained: int) -> None:
    """Serve the tasks.

    Args:
        network: its name in `keras.applications`.
        weights: an .npz file of the network's weights, in the order of Keras.
        explained: the class.
    """
    model = getattr(tf_keras.applications, network)(weights=None)
    with np.load(weights) as arrays:
        model.set_weights([arrays[name] for name in arrays.files])
    folder = tempfile.mkdtemp()
    score = CategoricalScore(explained)
    gradcam = Gradcam(model, model_modifier=ReplaceToLinear(), clone=True)
    scorecam = Scorecam(model)

    def vis_gradcam(image: str) -> np.ndarray:
        return gradcam(score, read_image(image), LAST, seek_penultimate_conv_layer=False)

    def vis_scorecam(image: str) -> np.ndarray:
        return scorecam(score, read_image(image), NARROW, seek_penultimate_conv_layer=False, batch_size=BATCH)

    def explain_gradcam(image: str) -> None:
        grid = GradCAM().explain((read_image(image), None), model, explained, layer_name=LAST)
        GradCAM().save(grid, folder, "map.png")

    def explain_occlusion(image: str) -> None:
        explainer = OcclusionSensitivity(batch_size=BATCH)
        explainer.save(
            explainer.explain((read_image(image), None), model, explained, PATCH), folder, "map.png"
        )

    work(
        {
            "gradcam vis": vis_gradcam,
            "gradcam explain": explain_gradcam,
            "scorecam vis": vis_scorecam,
            "occlusion explain": explain_occlusion,
        }
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
