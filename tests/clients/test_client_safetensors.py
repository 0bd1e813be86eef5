"""The parser against the safetensors package, which is the reference, and against damage."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors import SafetensorError
from safetensors.numpy import load, save

from layerscope_client._safetensors import parse_safetensors
from layerscope_client.errors import AnswerUnreadable

DTYPES = ["?", "u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8"]
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
ARRAYS = arrays.arrays(st.sampled_from(DTYPES).map(np.dtype), SHAPES)
NAMES = st.text(max_size=12).filter(lambda name: name != "__metadata__")
TENSORS = st.dictionaries(NAMES, ARRAYS, max_size=4)
METADATA = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)

SAMPLE = save(
    {"conv1": np.arange(6, dtype=np.float32).reshape(1, 2, 3), "dense": np.ones(2, np.int64)}, {"a": "b"}
)


def file_of(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}


@given(TENSORS, METADATA)
def test_reads_what_the_reference_writes(
    tensors: dict[str, np.ndarray[Any, Any]], metadata: dict[str, str]
) -> None:
    read, read_metadata = parse_safetensors(save(tensors, metadata or None))

    assert read_metadata == metadata
    assert read.keys() == tensors.keys()
    for name, array in tensors.items():
        assert read[name].dtype == array.dtype
        assert read[name].shape == array.shape
        assert read[name].tobytes() == array.tobytes()


def test_arrays_are_read_only_views_of_the_file() -> None:
    tensors, _ = parse_safetensors(SAMPLE)

    assert np.shares_memory(tensors["conv1"], np.frombuffer(SAMPLE, np.uint8))
    assert not tensors["conv1"].flags.writeable


@pytest.mark.parametrize("length", range(len(SAMPLE)))
def test_a_truncated_file_is_refused(length: int) -> None:
    with pytest.raises(AnswerUnreadable):
        parse_safetensors(SAMPLE[:length])


def test_trailing_data_are_refused() -> None:
    with pytest.raises(AnswerUnreadable, match="bytes of data"):
        parse_safetensors(SAMPLE + b"\0")


@pytest.mark.parametrize(
    "header",
    [
        [],
        b"{",
        b"\xff\xff",
        b"[" * 100_000,
        b'{"a": ' + b"1" * 5_000 + b"}",
        b'{"a": {"dtype":"U8","shape":[0],"data_offsets":[0,0]}, "a": {"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
        {"__metadata__": {"a": 1}},
        {"__metadata__": "text"},
        {"a": 1},
        {"a": {}},
        {"a": entry(dtype="BF16")},
        {"a": entry(dtype=["F32"])},
        {"a": entry(shape=[2])},
        {"a": entry(shape=[-1])},
        {"a": entry(shape=[True])},
        {"a": entry(shape=[1.0])},
        {"a": entry(shape="1")},
        {"a": entry(shape=[1] * 100)},
        {"a": entry(shape=[0, 2**70], data_offsets=[0, 0])},
        {"a": entry(data_offsets=[0, 8], shape=[2])},
        {"a": entry(data_offsets=[4, 0])},
        {"a": entry(data_offsets=[-4, 0])},
        {"a": entry(data_offsets=[1, 5])},
        {"a": entry(data_offsets=[0, 4, 8])},
        {"a": entry(data_offsets=[0.0, 4.0])},
        {"a": entry(), "b": entry()},
        {},
    ],
)
def test_a_header_that_lies_is_refused(header: object) -> None:
    with pytest.raises(AnswerUnreadable):
        parse_safetensors(file_of(header, b"\0\0\0\0"))


@settings(max_examples=300)
@given(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_read_as_the_reference_does(position: int, byte: int) -> None:
    damaged = SAMPLE[:position] + bytes([byte]) + SAMPLE[position + 1 :]

    try:
        tensors, _ = parse_safetensors(damaged)
    except AnswerUnreadable:
        return
    try:
        expected = load(damaged)
    except (SafetensorError, KeyError):
        # The reference is stricter about what surrounds the tensors: it wants the header to begin with "{".
        return
    assert {name: array.tobytes() for name, array in tensors.items()} == {
        name: array.tobytes() for name, array in expected.items()
    }
