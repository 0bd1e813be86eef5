import hashlib
import io
import json
import struct
import subprocess
import sys
import zipfile

import numpy as np
import orjson
import pytest
from activation_examples import arrays, make_activation, make_activations, several_activations
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import numpy as safetensors

from layerscope.encode import FORMATS, Metadata, encode, estimate, json_pieces
from layerscope.errors import UnsupportedFormat
from layerscope.limits import Limits
from layerscope.tensors.options import TensorOptions
from layerscope.tensors.statistics import statistics_of

METADATA = Metadata(
    model="digits", version=3, digest="sha256-ab", preprocessing={"input": {"mode": "unit"}, "mask": None}
)
LIMITS = Limits()
UINT8 = TensorOptions(dtype="uint8")


def encoded(activations, form, metadata=METADATA):
    return b"".join(encode(activations, form, metadata, LIMITS).buffers)


def refuse_constant(name):
    raise AssertionError(f"{name} is not JSON")


def strict_json(body):
    return json.loads(body, parse_constant=refuse_constant)


def same_bits(one, other):
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


def header_of(body):
    (length,) = struct.unpack("<Q", body[:8])
    return json.loads(body[8 : 8 + length]), 8 + length


@given(several_activations())
def test_json_is_valid_and_carries_every_finite_value_exactly(activations):
    answer = strict_json(encoded(activations, "json"))

    for row, activation in zip(answer["layers"], activations.values(), strict=True):
        values = activation.values
        read = np.array(row["values"], object).reshape(values.shape)
        missing = np.equal(read, None)
        np.testing.assert_array_equal(missing, ~np.isfinite(values))
        assert row["nonfinite"] == np.count_nonzero(missing)
        assert same_bits(
            np.where(missing, 0, read).astype(values.dtype), np.where(missing, values.dtype.type(0), values)
        )


@pytest.mark.parametrize(
    "shape",
    [(20_000,), (3, 16_384), (2, 16_385), (40_000, 1), (2, 3, 9_000), (1, 130, 130, 1), (0, 5), (2, 2)],
)
def test_json_in_pieces_is_the_json_of_the_whole(shape):
    document = {
        "before": "\0 [",
        "values": np.random.default_rng(1).normal(size=shape).astype(np.float32),
        "after": [1],
    }
    pieces = json_pieces(document)
    assert b"".join(pieces) == orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    assert max(map(len, pieces)) < 400_000


@given(arrays())
def test_npy_is_bit_exact(values):
    body = encoded(make_activations(make_activation(values)), "npy")

    assert same_bits(np.load(io.BytesIO(body), allow_pickle=False), values)


@given(several_activations())
def test_npz_is_bit_exact_and_its_members_are_addresses(activations):
    archive = np.load(io.BytesIO(encoded(activations, "npz")), allow_pickle=False)

    assert archive.files == [*activations, "metadata.json"]
    assert all(same_bits(archive[address], activations[address].values) for address in activations)


@given(several_activations())
def test_safetensors_is_bit_exact_for_the_library(activations):
    read = safetensors.load(encoded(activations, "safetensors"))

    assert read.keys() == activations.keys()
    assert all(same_bits(read[address], activations[address].values) for address in activations)


@given(several_activations())
def test_safetensors_data_are_aligned_for_typed_arrays(activations):
    body = encoded(activations, "safetensors")
    header, start = header_of(body)

    assert start % 64 == 0
    for address, activation in activations.items():
        assert (start + header[address]["data_offsets"][0]) % activation.values.itemsize == 0


@pytest.mark.parametrize("form", ["json", "npy", "npz", "safetensors"])
def test_values_that_lie_otherwise_in_memory_are_written_in_order(form):
    values = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    activation = make_activation(values).reduced(TensorOptions(layout="nchw", stride=2))
    expected = values[:, ::2, ::2].transpose(0, 3, 1, 2)
    body = encoded(make_activations(activation), form)

    read = {
        "json": lambda: strict_json(body)["layers"][0]["values"],
        "npy": lambda: np.load(io.BytesIO(body)),
        "npz": lambda: np.load(io.BytesIO(body))["conv1"],
        "safetensors": lambda: safetensors.load(body)["conv1"],
    }[form]()

    np.testing.assert_array_equal(read, expected)


def test_the_rows_say_what_each_tensor_is():
    values = np.array([[[[1.0, np.nan, -5.0]]]], np.float32)
    activation = make_activation(values, path=("backbone", "a b"), call=1, site="input")
    options = TensorOptions(channels="2,1", layout="nchw")
    activations = make_activations(activation, images=("sha256-1",), warnings=("assumed",)).reduced(options)
    metadata = Metadata(
        model="digits",
        version=3,
        digest="sha256-ab",
        preprocessing={"input": None},
        statistics={activation.tap.address: statistics_of(activation)},
    )

    answer = strict_json(encoded(activations, "json", metadata))
    (row,) = answer.pop("layers")
    statistics = row.pop("statistics")

    assert answer == {
        "model": {"name": "digits", "version": 3, "digest": "sha256-ab"},
        "images": ["sha256-1"],
        "preprocessing": {"input": None},
        "warnings": ["assumed"],
    }
    assert row == {
        "address": "backbone/a%20b:1@input",
        "type": "Conv2D",
        "shape": [1, 2, 1, 1],
        "dtype": "float32",
        "layout": "nchw",
        "axes": ["batch", "channels", "height", "width"],
        "channel_axis": 1,
        "channels": [2, 1],
        "nonfinite": 1,
        "values": [[[[-5.0]], [[None]]]],
    }
    assert (statistics["min"], statistics["channels"]["max"]) == (-5.0, [1.0, None, -5.0])


def test_values_can_be_left_out_of_json():
    activations = make_activations(make_activation(np.zeros((1, 2), np.float32)))

    (row,) = strict_json(
        encoded(activations, "json", Metadata(model="m", version=1, digest="d", values=False))
    )["layers"]

    assert "values" not in row
    assert row["shape"] == [1, 2]


def test_binary_formats_carry_the_same_rows_as_json():
    activations = make_activations(make_activation(np.ones((1, 2, 2, 3), np.float32)), warnings=("assumed",))
    answer = strict_json(encoded(activations, "json"))
    for row in answer["layers"]:
        del row["values"]

    archive = np.load(io.BytesIO(encoded(activations, "npz")))
    metadata = header_of(encoded(activations, "safetensors"))[0]["__metadata__"]

    assert json.loads(archive["metadata.json"]) == answer
    assert {name: metadata[name] for name in ("format", "model", "version", "digest")} == {
        "format": "layerscope",
        "model": "digits",
        "version": "3",
        "digest": "sha256-ab",
    }
    for name in ("images", "preprocessing", "warnings", "layers"):
        assert json.loads(metadata[name]) == answer[name]


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_uint8_takes_its_scale_and_offset_along(form):
    values = np.random.default_rng(5).normal(size=(2, 3, 3, 4)).astype(np.float32)
    activations = make_activations(make_activation(values)).reduced(UINT8)
    body = encoded(activations, form)

    read = np.load(io.BytesIO(body)) if form == "npz" else safetensors.load(body)
    restored = read["conv1"] * read["conv1@scale"] + read["conv1@offset"]

    assert read["conv1"].dtype == np.uint8
    assert np.abs(restored - values).max() <= read["conv1@scale"].max() / 2 + 1e-5


def test_json_uint8_takes_its_scale_and_offset_along():
    activations = make_activations(
        make_activation(np.array([[[0.0, 1.0], [2.55, 1.0]]], np.float32))
    ).reduced(UINT8)

    (row,) = strict_json(encoded(activations, "json"))["layers"]

    assert row["values"] == [[[0, 0], [255, 0]]]
    assert row["scale"] == pytest.approx([0.01, 0])
    assert row["offset"] == [0.0, 1.0]


def test_the_same_activations_are_the_same_bytes_in_every_process():
    script = (
        "import sys; sys.path[:0] = sys.argv[1:]; import test_encode_answers as here; print(here.digests())"
    )
    command = [sys.executable, "-c", script, *(path for path in sys.path if "tests" in path)]

    other = subprocess.run(command, capture_output=True, check=True, text=True).stdout

    assert other == f"{digests()}\n"


def digests():
    activations = make_activations(make_activation(np.arange(6, dtype=np.float32).reshape(1, 6)))
    return [hashlib.sha256(encoded(activations, form)).hexdigest() for form in FORMATS]


@pytest.mark.parametrize("form", ["npy", "npz", "safetensors"])
def test_columns_first_in_memory_make_no_difference(form):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    rows_first, columns_first = (
        make_activations(make_activation(np.array(values, order=order))) for order in "CF"
    )

    assert encoded(rows_first, form) == encoded(columns_first, form)


def test_an_archive_does_not_know_the_time():
    archive = zipfile.ZipFile(io.BytesIO(encoded(make_activations(make_activation(np.zeros((1, 2)))), "npz")))

    assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("form", ["npz", "safetensors"])
@pytest.mark.parametrize("name", ["file", "allow_pickle", "args", "größe", "a.npy"])
def test_layers_may_be_called_anything(form, name):
    activations = make_activations(make_activation(np.ones((1, 2), np.float32), path=(name,)))
    body = encoded(activations, form)

    read = np.load(io.BytesIO(body)) if form == "npz" else safetensors.load(body)

    assert read[name].tolist() == [[1.0, 1.0]]


def test_the_one_name_safetensors_keeps_for_itself_is_refused():
    activations = make_activations(make_activation(np.ones((1, 2), np.float32), path=("__metadata__",)))

    with pytest.raises(UnsupportedFormat, match="npz"):
        encoded(activations, "safetensors")


@settings(max_examples=200)
@given(several_activations(max_rank=6, max_side=3), st.sampled_from(FORMATS), st.booleans())
def test_no_answer_is_longer_than_its_estimate(activations, form, quantize):
    if form == "npy":
        activations = make_activations(next(iter(activations.values())))
    elif quantize and all(each.channel_axis is not None for each in activations.values()):
        activations = activations.reduced(UINT8)

    body = encoded(activations, form)

    assert len(body) <= estimate([each.spec for each in activations.values()], form)


@pytest.mark.parametrize("shape", [(1, 5_000), (1, 5_000, 1, 1)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "uint64", "bool"])
def test_the_widest_numbers_of_a_dtype_fit_the_estimate(dtype, shape):
    number = {
        "float16": np.float16(-6.1035e-05),
        "float32": np.float32(-1.17549435e-38),
        "float64": -2.2250738585072014e-308,
        "uint64": 2**64 - 1,
        "bool": False,
    }.get(dtype, np.iinfo(dtype).min if dtype.startswith("int") else 0)
    activations = make_activations(make_activation(np.full(shape, number, dtype)))

    size = len(encoded(activations, "json"))

    assert 0.7 * size <= estimate([each.spec for each in activations.values()], "json") - 4_096 <= 1.4 * size
    assert size <= estimate([each.spec for each in activations.values()], "json")
