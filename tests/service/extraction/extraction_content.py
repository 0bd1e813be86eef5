"""What the tests of jobs share."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from layerscope import demo


def content(folder):
    """Every file below a folder by its name."""
    folder = Path(folder)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@contextmanager
def stopped_after(count):
    """A progress callback that raises after so many parts, as somebody who presses Ctrl+C."""
    seen = []

    def progress(status):
        seen.append(status)
        if len(seen) > count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        yield progress


def write_many_digits(folder, count):
    """Make a folder with that many images of digits."""
    folder.mkdir()
    samples = list(demo.samples().values())
    for number in range(count):
        shutil.copyfile(samples[number % len(samples)], folder / f"{number:04d}.png")
    return folder


def begin_command(data, to, *more, cache, part_images=4, **surroundings):
    """`layerscope extract run` in a process of its own, for the layers that `plan` has."""
    command = [Path(sys.executable).with_name("layerscope"), "extract", "run", "--data", data, "--to", to]
    asked = {"--model": "digits", "--reduce": "mean", "--part-images": part_images}
    command += [part for each in asked.items() for part in each]
    return subprocess.Popen(
        [*map(str, command), "--layers", "conv1", "--layers", "probabilities", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | surroundings
        | {"LAYERSCOPE_KEEP_PREPARED": "true", "LAYERSCOPE_MODELS_CACHE": str(cache)},
    )
