"""Bodies of the Open Inference Protocol: whatever is written is read again, and damage is only ever refused."""

import gzip
import json
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from tritonclient.http import InferResult

from layerscope.errors import BodyTooLarge, InvalidRequest, LayerscopeError, UnsupportedFormat
from layerscope.limits import Limits
from layerscope_api.inference_protocol.compression import accepted_encoding, compress, decompress
from layerscope_api.inference_protocol.datatypes import DTYPES
from layerscope_api.inference_protocol.request import (
    InferenceRequest,
    join_aligned,
    read_inference_request,
)
from layerscope_api.inference_protocol.response import OutputTensor, write_inference_response

LIMITS = Limits()
SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
TENSORS = st.sampled_from(list(DTYPES.values())).flatmap(lambda dtype: arrays_of.arrays(dtype, SHAPES))
STRINGS = st.lists(st.binary(max_size=20), max_size=4)
NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class Sent:
    """An input as a client sends it."""

    values: Any
    binary: bool

    def entry(self, name: str) -> dict[str, Any]:
        is_bytes = isinstance(self.values, list)
        shape = [len(self.values)] if is_bytes else list(self.values.shape)
        entry = {"name": name, "shape": shape, "datatype": "BYTES" if is_bytes else NAMES[self.values.dtype]}
        if self.binary:
            return {**entry, "parameters": {"binary_data_size": len(self.data())}}
        return {**entry, "data": self.values.reshape(-1).tolist()}

    def data(self) -> bytes:
        if not self.binary:
            return b""
        if isinstance(self.values, list):
            return b"".join(len(each).to_bytes(4, "little") + each for each in self.values)
        return self.values.tobytes()


def sent() -> st.SearchStrategy[Sent]:
    finite = TENSORS.filter(lambda values: bool(np.isfinite(values).all()))
    in_json = finite.filter(lambda values: values.ndim > 0).map(lambda values: Sent(values, binary=False))
    return st.one_of(st.builds(Sent, st.one_of(TENSORS, STRINGS), st.just(True)), in_json)


def body_of(inputs: list[Sent], **more: Any) -> tuple[bytes, int]:
    entries = [each.entry(f"input {number}") for number, each in enumerate(inputs)]
    text = json.dumps({"inputs": entries, **more}).encode()
    return text + b"".join(each.data() for each in inputs), len(text)


def read(body: bytes, header: object = None) -> InferenceRequest:
    text = None if header is None else str(header)
    return read_inference_request(join_aligned([body], text), text, LIMITS)


@given(st.lists(sent(), max_size=4))
@example([Sent(np.array([0, 2**63 + 1], np.uint64), binary=False)])
@example([Sent(np.array([1, 2**64 - 1], np.uint64), binary=False)])
def test_what_is_sent_is_read(inputs: list[Sent]) -> None:
    request = read(*body_of(inputs, id="x", unknown={"key": [1]}))

    assert request.id == "x"
    for asked, got in zip(inputs, request.inputs, strict=True):
        if isinstance(asked.values, list):
            assert got.values == asked.values
        else:
            assert isinstance(got.values, np.ndarray)
            assert got.values.dtype == asked.values.dtype
            np.testing.assert_array_equal(got.values, asked.values)


@given(st.lists(sent(), max_size=3), st.data())
def test_damage_is_refused_and_nothing_else_happens(inputs: list[Sent], data: st.DataObject) -> None:
    body, length = body_of(inputs)
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    header = data.draw(st.one_of(st.just(length), st.integers(0, len(body) + 9), st.text(max_size=5)))
    with suppress(LayerscopeError):
        read(bytes(damaged), header)


@given(st.lists(st.tuples(st.one_of(TENSORS, STRINGS), st.booleans()), max_size=4))
def test_what_is_written_a_client_reads(outputs: list[tuple[Any, bool]]) -> None:
    tensors = [OutputTensor(f"output {number}", *each) for number, each in enumerate(outputs)]
    if any(_is_half(values) and not binary for values, binary in outputs):
        with pytest.raises(UnsupportedFormat):
            write_inference_response({"model_name": "m"}, tensors)
        return
    response = write_inference_response({"model_name": "m"}, tensors)

    body = b"".join(bytes(buffer) for buffer in response.buffers)
    result = InferResult.from_response_body(body, header_length=response.json_length)
    for tensor in tensors:
        got = result.as_numpy(tensor.name)
        if isinstance(tensor.values, np.ndarray):
            expected = tensor.values
            if not tensor.binary and expected.dtype.kind == "f":
                expected = np.where(np.isfinite(expected), expected, np.nan)
            np.testing.assert_array_equal(got, expected)
        elif tensor.binary:
            assert got.tolist() == list(tensor.values)


def test_tensors_are_not_copied() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    body, length = body_of([Sent(values, binary=True)])
    whole = join_aligned([body], str(length))

    (tensor,) = read_inference_request(whole, str(length), LIMITS).inputs
    response = write_inference_response({}, [OutputTensor("x", values, binary=True)])

    assert np.shares_memory(tensor.values, np.frombuffer(whole, np.uint8))
    assert np.shares_memory(np.frombuffer(response.buffers[1], np.uint8), values)


@given(st.lists(st.binary(max_size=2000), max_size=4), st.sampled_from(["gzip", "deflate"]))
def test_what_is_compressed_is_inflated(buffers: list[bytes], encoding: str) -> None:
    packed = b"".join(bytes(buffer) for buffer in compress(buffers, encoding))
    unpack = gzip.decompress if encoding == "gzip" else zlib.decompress

    assert unpack(packed) == b"".join(buffers)
    assert b"".join(decompress([packed[:5], packed[5:]], encoding, 10_000)) == b"".join(buffers)


@given(st.binary(max_size=60), st.sampled_from(["gzip", "deflate"]))
def test_what_is_no_compressed_data_is_refused(data: bytes, encoding: str) -> None:
    packed = b"".join(bytes(buffer) for buffer in compress([b"some text " * 9], encoding))
    for damaged in (data, packed[:-1], packed + b"x", packed[: len(packed) // 2] + data):
        with pytest.raises((InvalidRequest, BodyTooLarge)):
            decompress([damaged], encoding, 1000)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_not_inflated(encoding: str) -> None:
    bomb = [bytes(buffer) for buffer in compress([bytes(1 << 26)], encoding)]

    with pytest.raises(BodyTooLarge) as refused:
        decompress(bomb, encoding, 1 << 20)

    assert refused.value.details["bytes"] <= 1 << 22


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        ("gzip", "gzip"),
        ("Deflate", "deflate"),
        ("gzip, deflate", None),
        ("br", None),
        ("", None),
        ("*", None),
    ],
)
def test_only_who_asks_gets_it_compressed(accept: str, encoding: str | None) -> None:
    assert accepted_encoding(accept) == encoding


def one(**entry: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2], **entry}]}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "JSON object"),
        ({}, "inputs must be a list"),
        ({"inputs": [7]}, "inputs must be a list of objects"),
        ({"inputs": [{}]}, "must have a name"),
        ({"inputs": [], "outputs": [{"name": 3}]}, "outputs must have a name"),
        ({"inputs": [], "parameters": []}, "parameters must be an object"),
        ({"inputs": [], "id": 5}, "id must be a string"),
        ({"inputs": one()["inputs"] * 2}, "given twice"),
        (one(datatype="BF16"), "datatype"),
        (one(datatype=["FP32"]), "datatype"),
        (one(shape=[-1]), "list of at most 16 sizes"),
        (one(shape=[True]), "list of at most 16 sizes"),
        (one(shape=[1] * 17), "list of at most 16 sizes"),
        (one(shape="2"), "list of at most 16 sizes"),
        (one(shape=[2**62, 2**62]), "has 2 elements"),
        (one(data=[1, "2"]), "must be float32 values"),
        (one(data=[1, None]), "must be float32 values"),
        (one(data=[True, False]), "must be float32 values"),
        (one(data=[[1, 2], [3]]), "different lengths|float32 values|has 2 elements"),
        (one(data=None), "neither data nor"),
        (one(datatype="UINT8", data=[1, 256]), "uint8 cannot hold"),
        (one(datatype="INT32", data=[1, 1.5]), "int32 cannot hold"),
        (one(datatype="UINT64", data=[-1, 2**63]), "uint64 cannot hold"),
        (one(datatype="BOOL", data=[0, 1]), "must be bool values"),
        (one(datatype="BYTES", data=["YQ==", 3]), "must be strings"),
        (one(datatype="BYTES", data=["YQ=="]), "has 1 elements"),
        (one(parameters={"shared_memory_region": "r"}), "Shared memory"),
        (one(parameters={"binary_data_size": 8}), "sum up to 8 bytes; 0 follow"),
        (one(parameters={"binary_data_size": -8}), "must be a number of bytes"),
        (one(parameters={"binary_data_size": True}), "must be a number of bytes"),
        ({"inputs": [], "parameters": {"sequence_id": 3}}, "sequence"),
        ({"inputs": [], "outputs": [{"name": "x", "parameters": {"classification": 3}}]}, "Classification"),
    ],
)
def test_what_does_not_follow_the_protocol_is_told(document: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read(json.dumps(document).encode())


@pytest.mark.parametrize("header", ["-1", "99", "٣", "1.0", " 2", "", "9" * 30])
def test_an_impossible_length_is_told(header: str) -> None:
    with pytest.raises(InvalidRequest, match="Inference-Header-Content-Length"):
        read(b"{}", header)


def test_json_carries_only_so_many_values() -> None:
    with pytest.raises(BodyTooLarge, match="1,000,000 values"):
        read(b'{"inputs": [' + b"0," * 2_000_001 + b"0]}")


def test_one_long_text_among_many_takes_no_more_room_than_it_is_long() -> None:
    texts = ["x" * 5_000_000, *["y"] * 50_000]
    with pytest.raises(InvalidRequest, match="must be float32 values"):
        read(json.dumps(one(shape=[len(texts)], data=texts)).encode())


def _is_half(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype == np.float16


@pytest.mark.parametrize("is_binary", [True, False])
@pytest.mark.parametrize(
    "shape", [[0, 2**63], [0, 2**64 - 1], [2**62, 2**62, 0], [1, 0, 2**62, 8], [2**31, 0, 3]]
)
def test_a_tensor_without_values_has_no_impossible_sides(shape: list[int], is_binary: bool) -> None:
    given: dict[str, Any] = {"parameters": {"binary_data_size": 0}} if is_binary else {"data": []}
    body = json.dumps({"inputs": [{"name": "a", "datatype": "FP32", "shape": shape, **given}]}).encode()
    with pytest.raises(InvalidRequest, match="sides"):
        read(body, len(body) if is_binary else None)
