import numpy as np
import pytest

from layerscope.errors import NoPicture
from layerscope.render import tiles


def numbered(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("axis", [-1, 2])
def test_channels_last_gives_one_tile_a_channel_without_copying(axis: int) -> None:
    values = numbered(4, 5, 3)

    result = tiles(values, axis)

    assert result.shape == (3, 4, 5)
    np.testing.assert_array_equal(result[1], values[:, :, 1])
    assert np.shares_memory(result, values)


def test_channels_first_is_already_tiles() -> None:
    values = numbered(3, 4, 5)

    result = tiles(values, 0)

    np.testing.assert_array_equal(result, values)
    assert np.shares_memory(result, values)


def test_a_matrix_without_channels_is_one_tile() -> None:
    np.testing.assert_array_equal(tiles(numbered(4, 5), None), numbered(4, 5)[np.newaxis])


def test_a_sequence_with_channels_gives_one_row_a_channel() -> None:
    result = tiles(numbered(6, 2), -1)

    np.testing.assert_array_equal(result, [[[0, 2, 4, 6, 8, 10]], [[1, 3, 5, 7, 9, 11]]])


@pytest.mark.parametrize("axis", [-1, 0])
def test_depth_slices_of_a_channel_follow_each_other(axis: int) -> None:
    volumes = numbered(3, 2, 4, 5)  # channels, depth, height, width

    result = tiles(np.moveaxis(volumes, 0, axis), axis)

    assert result.shape == (6, 4, 5)
    np.testing.assert_array_equal(result[1], volumes[0, 1])
    np.testing.assert_array_equal(result[2], volumes[1, 0])


@pytest.mark.parametrize(
    ("length", "rows", "columns"),
    [
        (1, 1, 1),
        (10, 1, 10),
        (64, 1, 64),
        (65, 5, 13),
        (1000, 25, 40),
        (2048, 32, 64),
        (4096, 64, 64),
        (509, 1, 509),
    ],
)
@pytest.mark.parametrize("axis", [None, -1, 0])
def test_a_vector_is_a_strip_in_reading_order(length: int, rows: int, columns: int, axis: int | None) -> None:
    result = tiles(numbered(length), axis)

    assert result.shape == (1, rows, columns)
    np.testing.assert_array_equal(result.ravel(), np.arange(length))


def test_one_value_is_one_pixel() -> None:
    np.testing.assert_array_equal(tiles(np.array(7.0, dtype=np.float32), None), [[[7]]])


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.int64])
def test_booleans_and_integers_become_float32(dtype: type) -> None:
    result = tiles(np.array([[0, 1]], dtype=dtype), None)

    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, [[[0, 1]]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_types_are_kept(dtype: type) -> None:
    assert tiles(np.zeros((2, 2), dtype=dtype), None).dtype == dtype


@pytest.mark.parametrize("values", [np.array([1j]), np.array(["cat"]), np.array([None]), np.array([b"x"])])
def test_what_is_not_a_real_number_has_no_picture(values: np.ndarray) -> None:
    with pytest.raises(NoPicture, match=values.dtype.name) as caught:
        tiles(values, None)
    assert caught.value.details == {"dtype": values.dtype.name}


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((2, 3, 4), None),
        ((2, 3, 4, 5), None),
        ((2, 3, 4, 5, 6), -1),
        ((2, 3), 2),
        ((2, 3, 4), -4),
        ((0, 3), None),
        ((0,), None),
    ],
)
def test_other_shapes_have_no_picture_and_say_which(shape: tuple[int, ...], axis: int | None) -> None:
    with pytest.raises(NoPicture, match=r"Shape \(") as caught:
        tiles(np.zeros(shape, dtype=np.float32), axis)
    assert caught.value.details["shape"] == list(shape)
