import io
import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from layerscope.errors import BodyTooLarge, TensorUnreadable
from layerscope.images import read_npy
from layerscope.limits import Limits

LIMITS = Limits()

numbers = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="<"),
    hnp.integer_dtypes(endianness=">"),
    hnp.unsigned_integer_dtypes(endianness=">"),
    hnp.floating_dtypes(endianness="<", sizes=(16, 32, 64)),
    hnp.floating_dtypes(endianness=">", sizes=(16, 32, 64)),
)


def saved(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version, allow_pickle=False)
    return file.getvalue()


def with_header(text, payload=b""):
    header = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + payload


def with_shape(shape, payload=b"", dtype="<f4"):
    return with_header(f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}", payload)


@given(
    hnp.arrays(numbers, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5)),
    st.sampled_from("CF"),
    st.sampled_from([(1, 0), (2, 0)]),
)
def test_arrays_come_back_native_and_contiguous(array, order, version):
    loaded = read_npy(saved(np.asarray(array, order=order), version), LIMITS)
    np.testing.assert_array_equal(loaded, array)
    assert loaded.shape == array.shape
    assert loaded.dtype == array.dtype.newbyteorder("=")
    assert loaded.dtype.isnative
    assert loaded.flags.c_contiguous
    assert loaded.flags.aligned


def test_nan_and_infinities_pass():
    loaded = read_npy(saved(np.float32([np.nan, np.inf, -np.inf])), LIMITS)
    np.testing.assert_array_equal(loaded, np.float32([np.nan, np.inf, -np.inf]))


def test_native_data_is_not_copied():
    data = saved(np.arange(12, dtype=np.float32).reshape(3, 4))
    assert np.shares_memory(read_npy(data, LIMITS), np.frombuffer(data, np.uint8))


def test_unaligned_data_is_aligned():
    loaded = read_npy(with_shape("(2,)", np.float32([1, 2]).tobytes()), LIMITS)
    assert loaded.flags.aligned
    np.testing.assert_array_equal(loaded, [1, 2])


def test_any_byte_but_zero_is_true():
    loaded = read_npy(with_shape("(3,)", b"\0\1\7", "|b1"), LIMITS)
    assert loaded.tolist() == [False, True, True]
    assert loaded.view(np.uint8).tolist() == [0, 1, 1]


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was run",))


def pickled():
    file = io.BytesIO()
    np.save(file, np.array([Bomb()], dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        pickled(),
        pickle.dumps([1]),
        saved(np.array(["text"])),
        saved(np.array([b"text"])),
        saved(np.zeros(2, np.complex64)),
        saved(np.array(["2020-01-01"], "M8[D]")),
        saved(np.zeros(2, [("a", "f4"), ("b", "f4")])),
        saved(np.zeros(2, "V8")),
        saved(np.zeros(2, np.longdouble)),
        with_shape("(1000000000, 1000000000)"),
        with_shape(f"({'9' * 4000},)"),
        with_shape(f"({'9' * 4000}, 0)"),
        with_shape("(-1, -4)", bytes(16)),
        with_shape("(-1,)", bytes(4)),
        with_shape("(1.5,)", bytes(4)),
        with_shape("(True,)", bytes(4)),
        with_shape("(2, False)"),
        with_shape("(2147483648, 0, 3)"),
        with_shape(f"({2**62}, 0, {2**62})"),
        with_shape("('a',)", bytes(4)),
        with_shape(f"({'1, ' * 100})", bytes(4)),
        with_shape("(1,)", bytes(4), dtype="(2,2)<f4"),
        with_header("(" * 3000),
        with_header("{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}", bytes(4)),
        with_header("[]"),
        saved(np.zeros((2, 3)))[:-1],
        saved(np.zeros((2, 3))) + b"\0",
    ],
)
def test_what_is_no_plain_tensor_is_unreadable(data):
    with pytest.raises(TensorUnreadable) as caught:
        read_npy(data, LIMITS)
    assert len(caught.value.message) < 200


def test_a_body_over_the_limit_is_refused():
    with pytest.raises(BodyTooLarge) as caught:
        read_npy(saved(np.zeros(100)), Limits(body_bytes=500))
    details = caught.value.details
    assert (details["bytes"], details["limit"], len(details["ways"])) == (928, 500, 3)


sides = st.one_of(
    st.integers(-2, 4), st.integers(), st.booleans(), st.none(), st.floats(), st.text(max_size=3), st.just(0)
)
descriptions = st.one_of(
    st.sampled_from(
        [
            "<f4",
            ">i2",
            "|b1",
            "|u1",
            "<f8",
            "<c8",
            "|O",
            "|V8",
            "<U3",
            "<M8[s]",
            "=f2",
            "f",
            "(2,)f4",
            "",
            None,
        ]
    ),
    st.text(max_size=6),
    st.lists(st.tuples(st.text(max_size=2), st.sampled_from(["<f4", "|O"])), max_size=2),
)


@settings(max_examples=600)
@given(
    st.one_of(st.lists(sides, max_size=5).map(tuple), st.lists(sides, max_size=40), sides),
    descriptions,
    st.one_of(st.booleans(), st.none(), st.integers(0, 1)),
    st.binary(max_size=40),
)
@example((True,), "<f4", False, bytes(4))
def test_r08_only_our_errors_leave_a_header_of_any_fields(shape, description, fortran_order, payload):
    fields = {"descr": description, "fortran_order": fortran_order, "shape": shape}
    try:
        array = read_npy(with_header(ascii(fields), payload), LIMITS)
    except TensorUnreadable:
        return
    assert array.nbytes == len(payload)
    assert array.shape == shape
    assert all(type(side) is int for side in array.shape)


@settings(max_examples=400)
@given(
    st.lists(st.tuples(st.integers(0, 130), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(-8, 8),
)
def test_r08_only_our_errors_leave_a_damaged_file(changes, extra):
    data = bytearray(saved(np.arange(6, dtype=">i2").reshape(2, 3)))
    for position, value in changes:
        data[position] = value
    data = bytes(data[:extra] if extra < 0 else data + bytes(extra))
    try:
        array = read_npy(data, LIMITS)
    except TensorUnreadable:
        return
    assert array.nbytes <= len(data)
