"""The handwritten digits of the demo as a folder of image files."""

import shutil
from pathlib import Path

from layerscope import demo


def write_digits(folder: Path) -> Path:
    """Make a folder with `zero.png` to `nine.png`."""
    folder.mkdir()
    for name, path in demo.samples().items():
        shutil.copyfile(path, folder / f"{name}.png")
    return folder
