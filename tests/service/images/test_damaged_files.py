"""R08: a damaged image file raises only errors of the service, never one of a library."""

import contextlib
import io
import time
from collections.abc import Callable

import numpy as np
import pytest
from image_files import FILES, with_right_checksums

from layerscope.demo import samples
from layerscope.errors import LayerscopeError
from layerscope.images import decode, describe, read_npy
from layerscope.limits import Limits
from mutations import mutations

SMALL = Limits(image_pixels=1_000_000)
IMAGES = {**FILES, "sample": samples()["seven"].read_bytes()}


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


TENSORS = {
    "floats": npy(np.ones((2, 3, 4, 1), np.float32)),
    "big-endian": npy(np.asfortranarray(np.arange(24, dtype=">i2").reshape(2, 3, 4))),
    "numbers of one byte": npy(np.zeros(300, np.uint8)),
}


def read_image(data: bytes) -> None:
    described = decoded = None
    with contextlib.suppress(LayerscopeError):
        described = describe(data, SMALL)
    with contextlib.suppress(LayerscopeError):
        decoded = decode(data, SMALL)
        assert decoded.pixels.shape[:2] == (decoded.height, decoded.width)
    if described and decoded:
        # Sorted, because the sides are exchanged where EXIF data turn the picture.
        assert sorted((described.width, described.height)) == sorted((decoded.width, decoded.height))


def read_tensor(data: bytes) -> None:
    with contextlib.suppress(LayerscopeError):
        assert read_npy(data, SMALL).nbytes <= len(data)


def damage(files: dict[str, bytes], read: Callable[[bytes], None], count: int) -> int:
    """Read `count` damaged copies of each file, and of PNG files also copies with correct checksums."""
    done = 0
    for name, data in files.items():
        for damaged in mutations(data, count):
            for each in {damaged, with_right_checksums(damaged) if "png" in name else damaged}:
                read(each)
                done += 1
    return done


KINDS = pytest.mark.parametrize(
    ("kind", "files", "read"), [("images", IMAGES, read_image), ("tensors", TENSORS, read_tensor)]
)


@KINDS
def test_r08_damaged_files(kind, files, read):
    assert damage(files, read, 150) >= 150 * len(files)


@pytest.mark.soak
@KINDS
def test_r08_damaged_files_by_the_thousand(keep_figures, kind, files, read):
    started = time.perf_counter()
    done = damage(files, read, 20_000)
    keep_figures("R08", kind, damaged=done, seconds=round(time.perf_counter() - started))
