import numpy as np
from activation_examples import arrays
from hypothesis import given

from layerscope.graph.runtime.float16 import to_float16


@given(arrays(dtypes=("float32",)))
def test_half_is_what_numpy_rounds_to(values):
    with np.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(np.float16)

    halves = to_float16(values)

    assert (halves.dtype, halves.shape) == (np.float16, values.shape)
    np.testing.assert_array_equal(halves, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(halves[numbers]), np.signbit(expected[numbers]))


def test_every_half_its_neighbours_and_the_ties_between_them_round_as_in_numpy():
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    ties = (halves[:-1] + halves[1:]) / 2
    near = np.concatenate([halves, ties, np.nextafter(ties, 0), np.nextafter(ties, np.float32(np.inf))])

    np.testing.assert_array_equal(to_float16(near), near.astype(np.float16))


def test_values_that_lie_otherwise_in_memory_and_may_not_be_written_are_read_where_they_are():
    values = np.random.default_rng(3).normal(size=(2, 5, 7, 3)).astype(np.float32)
    values.flags.writeable = False

    for view in (values.transpose(0, 3, 1, 2), values[:, ::2, 1:], values[1:]):
        np.testing.assert_array_equal(to_float16(view), view.astype(np.float16))
