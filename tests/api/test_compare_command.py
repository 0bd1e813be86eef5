"""The command `layerscope compare` with models that draw random numbers. The page on CI tests what else it does."""

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from layerscope_api.cli.app import app

PLUGIN = """
import keras
@keras.saving.register_keras_serializable("drawing")
class Noise(keras.layers.Layer):
    def __init__(self, scale=0.0, **options):
        super().__init__(**options)
        self.scale = scale
    def call(self, inputs):
        return inputs + self.scale * keras.random.normal(keras.ops.shape(inputs))
    def get_config(self):
        return {**super().get_config(), "scale": self.scale}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models that differ in how much noise they add, and one image."""
    folder, scope = tmp_path_factory.mktemp("noisy"), {"__name__": "drawing"}
    exec(PLUGIN, scope)  # noqa: S102 - as the service runs it
    start = keras.Input((4, 4, 1), name="image")
    for name, scale in (("little", 0.5), ("much", 1.0)):
        (folder / name).mkdir()
        keras.Model(start, scope["Noise"](scale, name="noise")(start)).save(folder / name / "model.keras")
        (folder / name / "drawing.py").write_text(PLUGIN, "utf-8")
        (folder / name / "layerscope.json").write_text('{"plugins": ["drawing.py"]}', "utf-8")
    (folder / "images").mkdir()
    Image.fromarray(np.full((4, 4), 99, np.uint8)).save(folder / "images" / "grey.png")
    return folder


def compared(folder: Path, *options: str) -> str:
    arguments = ["compare", str(folder / "little"), str(folder / "much"), "--images", str(folder / "images")]
    return CliRunner().invoke(app, [*arguments, *options]).stdout


def test_random_numbers_are_those_of_the_seed(folder: Path) -> None:
    found = [compared(folder, *options) for options in ([], ["--seed", "7"], ["--seed", "7"])]
    assert "are of seed 0." in found[0]
    assert "are of seed 7." in found[1]
    assert found[1] == found[2]
    rows = [next(line for line in text.splitlines() if line.startswith("| noise")) for text in found]
    assert rows[0] != rows[1]
