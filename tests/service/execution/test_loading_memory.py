"""Images take memory when they are decoded, and it is known from their headers."""

import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from engine_models import png, query, tensor

from layerscope.errors import AnswerTooLarge, ImageUnreadable, InputMismatch

SIDE = 500
DECODING = 24 * SIDE * SIDE


def damaged(height, width, seed=0):
    """A PNG whose header is whole and whose pixels are not: whoever decodes it fails."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", bytes([255, seed] * 8)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


@pytest.mark.parametrize(("model", "layer"), [("free", "pool"), ("plain", "conv1")])
def test_images_that_take_more_than_there_is_are_refused_before_they_are_decoded(start_engine, model, layer):
    engine = start_engine(working_bytes=DECODING)
    with pytest.raises(AnswerTooLarge, match="all requests together"):
        engine.run(query(model, [layer], damaged(SIDE, SIDE)))
    assert (engine.working_bytes, engine.runs) == (0, 0)
    with pytest.raises(ImageUnreadable):
        start_engine().run(query(model, [layer], damaged(SIDE, SIDE)))


def test_each_image_of_a_free_size_counts(start_engine):
    engine = start_engine()

    def inputs(*images):
        return engine.plan(query("free", ["pool"], *images)).computation.inputs

    as_floats = 3 * 4 * SIDE * SIDE
    assert inputs(damaged(SIDE, SIDE)) == DECODING + 2 * as_floats
    assert inputs(*(damaged(SIDE, SIDE, seed) for seed in range(3))) == DECODING + 6 * as_floats
    assert inputs(tensor(SIDE, SIDE, 3)) == 0
    assert inputs(tensor(SIDE, SIDE, 3).astype(np.float64)) == 2 * as_floats


def test_the_sizes_of_images_are_read_from_their_headers(start_engine):
    engine = start_engine()
    with pytest.raises(InputMismatch, match="different sizes"):
        engine.plan(query("free", ["pool"], damaged(SIDE, SIDE), damaged(20, 30)))
    plan = engine.plan(query("free", ["conv"], png(20, 30)))
    assert plan.layers[0].shape == (1, 18, 28, 4)
    assert engine.run(query("free", ["conv"], png(20, 30))).activations["conv"].values.shape == (1, 18, 28, 4)


def test_no_more_images_are_decoded_at_once_than_there_is_memory_for(start_engine):
    engine, most = start_engine("plain", working_bytes=3 * DECODING), []

    def ask(seed):
        with engine.prepare(query("plain", ["conv1"], png(SIDE, SIDE, seed))) as prepared, prepared.run():
            most.append(engine.working_bytes)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert len(most) == 8
    assert DECODING < max(most) <= 3 * DECODING
    assert engine.working_bytes == 0


def test_what_is_in_the_cache_is_not_decoded(start_engine):
    engine, request = start_engine("plain"), query("plain", ["conv1"], png(SIDE, SIDE))
    engine.run(request)
    assert engine.plan(request).computation.inputs == 0


DECODE = """
import os, sys
from PIL import Image
from layerscope.execution.inputs import ImageSource
from layerscope.execution.loading_memory import decoding_bytes
from layerscope.images import decode
from layerscope.limits import Limits

def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) * 1024

for mode, form in (("RGB", "JPEG"), ("LA", "PNG"), ("RGBA", "WEBP")):
    turned = Image.Exif()
    turned[0x112] = 6
    if os.fork() == 0:
        Image.linear_gradient("L").resize((4000, 3000)).convert(mode).save(sys.argv[1], form, exif=turned, lossless=True)
        os._exit(0)
    os.wait()
    data = open(sys.argv[1], "rb").read()
    open("/proc/self/clear_refs", "w").write("5")
    before = status("VmRSS")
    decode(data, Limits())
    print((status("VmHWM") - before) / decoding_bytes(ImageSource(data), Limits()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_decoding_takes_about_as_much_as_is_reserved_for_it(tmp_path):
    command = [sys.executable, "-c", DECODE, str(tmp_path / "image")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    shares = [float(line) for line in said.split()]
    assert len(shares) == 3
    assert all(0.2 < share < 1.2 for share in shares), shares
