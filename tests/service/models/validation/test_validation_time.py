"""Files of a few kilobytes that take minutes to check, unless their sizes are looked at before the work."""

import io
import zipfile

import h5py
import keras
import numpy as np
import pytest
from hostile_files import CONFIG, WEIGHTS, layers, parts_of, with_config, write_parts

from layerscope.errors import LayerscopeError
from layerscope.limits import Limits
from layerscope.models.validation import check

pytestmark = pytest.mark.wide

LIMITS = Limits(model_check_seconds=12)
"""Enough for a large model, and far from enough for what these files would take."""


@pytest.fixture
def file(tmp_path):
    start = keras.Input((8, 8, 1))
    path = tmp_path / "model.keras"
    keras.Model(start, keras.layers.Conv2D(2, 3, name="conv")(start)).save(path)
    return path


def with_layer(file, edit):
    path = with_config(file, lambda config: edit(layers(config)[1]))
    return write_parts(path, parts_of(path), zipfile.ZIP_DEFLATED)


def with_array(file, *arguments, **options):
    parts = parts_of(file)
    stored = io.BytesIO(parts[WEIGHTS])
    with h5py.File(stored, "r+") as weights:
        weights.create_dataset("layers/other/vars/0", *arguments, **options)
    parts[WEIGHTS] = stored.getvalue()
    return write_parts(file, parts, zipfile.ZIP_DEFLATED)


def wide(layer):
    layer["config"]["kernel_size"] = [9] * 3_000_000


def long_kernel(layer):
    layer["config"]["kernel_size"] = [9] * 1_500_000


def long_input(layer):
    layer["build_config"]["input_shape"] = [9] * 1_500_000


def long_key(layer):
    layer["config"]["a" * 4_000_000] = [0] * 1_000_000


def deep_keys(layer):
    inner = [0] * 1_000_000
    for _ in range(150):
        inner = {"a" * 900: inner}
    layer["config"]["inner"] = inner


CONFIGS = {
    wide: "model_too_large",
    long_kernel: "config_invalid",
    long_input: "config_invalid",
    long_key: "config_invalid",
    deep_keys: None,
}


def code_of(path):
    try:
        check(path, LIMITS)
    except LayerscopeError as error:
        return "took too long" if "seconds" in error.message else error.code
    return None


@pytest.mark.parametrize(("edit", "code"), CONFIGS.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_m07_a_configuration_of_many_values(file, edit, code):
    path = with_layer(file, edit)
    assert path.stat().st_size < 100_000
    assert code_of(path) == code


def test_m07_an_array_without_values_and_without_end(file):
    assert code_of(with_array(file, shape=(2**62, 0), dtype="f4")) == "weights_malformed"


def test_m07_one_chunk_that_is_unpacked_for_each_slice(file):
    """A quarter of a gigabyte: it would be unpacked once for each of its rows."""
    values = np.zeros((64, 1 << 20), np.float32)
    values[:2] = np.random.default_rng(1).random((2, 1 << 20), np.float32)
    path = with_array(file, data=values, chunks=values.shape, compression="gzip", compression_opts=1)
    assert path.stat().st_size < 10_000_000
    assert code_of(path) == "weights_malformed"


def test_m07_a_chunk_for_each_value(file):
    path = with_array(file, shape=(400_000,), dtype="f4", chunks=(1,), data=np.ones(400_000, "f4"))
    assert code_of(path) == "weights_malformed"


@pytest.mark.parametrize("chunks", [None, (3, 7), (100, 100)])
def test_m11_arrays_in_chunks_and_without_values_are_kept(file, chunks):
    """Whatever tool wrote the file anew."""
    parts = parts_of(file)
    stored = io.BytesIO(parts[WEIGHTS])
    with h5py.File(stored, "r+") as weights:
        values = np.arange(10_000, dtype="f4").reshape(100, 100)
        weights.create_dataset("layers/other/vars/0", data=values, chunks=chunks)
        weights.create_dataset("layers/other/vars/1", shape=(0, 5), dtype="f4")
    parts[WEIGHTS] = stored.getvalue()
    assert code_of(write_parts(file, parts)) is None
    assert CONFIG in parts
