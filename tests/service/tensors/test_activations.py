import numpy as np
import pytest
from activation_examples import arrays, make_activation, make_activations, make_tap
from hypothesis import example, given
from hypothesis import strategies as st

from layerscope.errors import ChannelNotFound, LayerscopeError, OptionInvalid
from layerscope.tensors.activations import Activation
from layerscope.tensors.options import TensorOptions
from layerscope.tensors.spec import TensorSpec

SMALL = st.integers(0, 4)

OPTIONS = st.builds(
    TensorOptions,
    channels=st.sampled_from(["all", "0", "0,2", "1-2,0", "top:1", "top:9"]),
    region=st.none() | st.tuples(SMALL, SMALL, SMALL, SMALL),
    stride=st.integers(1, 3),
    reduce=st.sampled_from(["none", "mean", "max", "l2"]),
    dtype=st.sampled_from(["native", "float32", "float16", "uint8"]),
    layout=st.sampled_from(["native", "nhwc", "nchw"]),
)


@pytest.fixture
def values():
    array = np.random.default_rng(7).normal(size=(2, 4, 5, 3)).astype(np.float32)
    array.flags.writeable = False
    return array


def outcome(produce):
    try:
        return produce()
    except LayerscopeError as error:
        return type(error), error.message, error.details


@given(arrays(), OPTIONS, st.booleans())
def test_the_spec_foretells_shape_and_dtype_and_every_refusal(values, options, channels_first):
    tap = make_tap(values.shape[1:], values.dtype.name, channels_first=channels_first)

    foretold = outcome(lambda: TensorSpec.of(tap, values.shape).reduced(options))
    real = outcome(lambda: Activation.of(tap, values).reduced(options).spec)

    assert foretold == real


@given(arrays(), OPTIONS)
def test_no_option_changes_what_it_is_given(values, options):
    before = values.tobytes()
    values.flags.writeable = False

    outcome(lambda: make_activation(values).reduced(options))

    assert values.tobytes() == before


def test_default_options_copy_nothing(values):
    assert np.shares_memory(make_activation(values).reduced(TensorOptions()).values, values)


def test_channels_come_in_the_order_asked_for(values):
    chosen = make_activation(values).select("2,0")

    np.testing.assert_array_equal(chosen.values, values[..., [2, 0]])
    assert chosen.channels.tolist() == [2, 0]


def test_top_channels_are_each_images_own():
    values = np.array([[[1, 5, 3]], [[9, 0, -10]]], np.float32)

    chosen = make_activation(values).select("top:2")

    assert chosen.values.tolist() == [[[5, 3]], [[-10, 9]]]
    assert chosen.channels.tolist() == [[1, 2], [2, 0]]


def test_top_channels_of_channels_first_values():
    values = np.array([[[[1]], [[5]], [[3]]]], np.float32)

    chosen = make_activation(values, channels_first=True).select("top:2")

    assert chosen.values.tolist() == [[[[5]], [[3]]]]


def test_a_channel_that_is_not_there_is_refused(values):
    with pytest.raises(ChannelNotFound):
        make_activation(values).select("3")


def test_region_is_columns_then_rows(values):
    cropped = make_activation(values).cropped((1, 0, 4, 2))

    np.testing.assert_array_equal(cropped.values, values[:, 0:2, 1:4])


def test_stride_starts_at_the_corner_of_the_region(values):
    cropped = make_activation(values).cropped((1, 1, 5, 4), 2)

    np.testing.assert_array_equal(cropped.values, values[:, 1:4:2, 1:5:2])


def test_stride_goes_along_every_spatial_axis_and_leaves_vectors(values):
    np.testing.assert_array_equal(make_activation(values[:, 0]).cropped(None, 2).values, values[:, 0, ::2])
    np.testing.assert_array_equal(make_activation(values[:, 0, 0]).cropped(None, 2).values, values[:, 0, 0])


@pytest.mark.parametrize("region", [(0, 0, 6, 4), (0, 0, 5, 5), (2, 0, 2, 4), (-1, 0, 2, 2), (3, 0, 2, 2)])
def test_a_region_outside_the_map_is_refused_with_its_size(values, region):
    with pytest.raises(OptionInvalid, match="5x4 map of conv1"):
        make_activation(values).cropped(region)


def test_a_region_needs_rows_and_columns(values):
    with pytest.raises(OptionInvalid, match="no rows and columns"):
        make_activation(values[:, 0]).cropped((0, 0, 1, 1))


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("mean", lambda maps: maps.mean(axis=(1, 2), dtype=np.float64)),
        ("max", lambda maps: maps.max(axis=(1, 2))),
        ("l2", lambda maps: np.linalg.norm(maps.reshape(2, 20, 3).astype(np.float64), axis=1)),
    ],
)
@pytest.mark.parametrize("channels_first", [False, True])
def test_reductions_leave_one_number_a_channel(values, reduction, expected, channels_first):
    given_values = np.moveaxis(values, 3, 1) if channels_first else values

    reduced = make_activation(given_values, channels_first=channels_first).summarized(reduction)

    assert (reduced.values.dtype, reduced.channel_axis, reduced.spatial_axes) == (np.float32, 1, ())
    np.testing.assert_allclose(reduced.values, expected(values), rtol=1e-6)


def test_a_mean_of_many_equal_values_is_that_value():
    values = np.full((1, 512, 512, 2), 0.1, np.float32)

    assert (make_activation(values).summarized("mean").values == np.float32(0.1)).all()


@pytest.mark.parametrize("size", [1e20, 1.5e38, 1e-25, 1e-45])
def test_a_norm_of_any_size_is_that_norm(size):
    values = np.full((1, 2, 2, 1), size, np.float32)
    expected = 2 * values.astype(np.float64)[0, 0, 0]

    norm = make_activation(values).summarized("l2").values[0]

    np.testing.assert_array_equal(norm, expected.astype(np.float32))


@given(arrays(min_rank=2, min_side=1), st.sampled_from(["mean", "max", "l2"]))
def test_every_reduction_is_that_of_exact_arithmetic(values, reduction):
    finite = np.where(np.isfinite(values), values, values.dtype.type(0))
    by_channel = finite.reshape(len(finite), -1, finite.shape[-1]).astype(np.longdouble)
    expected = {
        "mean": lambda: by_channel.mean(axis=1),
        "max": lambda: by_channel.max(axis=1),
        "l2": lambda: np.sqrt(np.square(by_channel).sum(axis=1)),
    }[reduction]()

    given_values = make_activation(finite).summarized(reduction).values

    reach = np.abs(by_channel).max(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(given_values.astype(np.longdouble) - expected)
        agree = (error <= 1e-7 * np.abs(expected) + 1e-12 * reach + 1e-45) | (
            given_values == expected.astype(np.float32)
        )
    assert agree.all()


def test_top_channels_are_told_apart_beyond_float32():
    values = np.array([[[[1e50, 1e60, 0.0]]]], np.float64)

    assert make_activation(values).select("top:2").channels.tolist() == [1, 0]


def test_layouts_move_only_the_channel_axis(values):
    first = make_activation(values).arranged("nchw")
    back = first.arranged("nhwc")

    np.testing.assert_array_equal(first.values, values.transpose(0, 3, 1, 2))
    assert (first.layout, first.channel_axis) == ("nchw", 1)
    np.testing.assert_array_equal(back.values, values)
    assert (back.layout, back.channel_axis) == ("nhwc", 3)


def test_vectors_and_scalars_have_no_layout(values):
    assert make_activation(values[:, 0, 0]).layout is None
    assert make_activation(values[:, 0, 0, 0]).layout is None


def test_images_folded_into_the_batch_axis_leave_the_channel_axis_where_the_tap_has_it():
    tap = make_tap((4, 5, 3))

    assert Activation.of(tap, np.zeros((2, 7, 4, 5, 3), np.float32)).channel_axis == 4


@given(arrays(dtypes=("float16", "float32", "int32", "uint8"), min_rank=1))
@example(np.array([[0.0, 0.0], [0.0, 3.6e-43]], np.float32))
def test_uint8_is_within_half_a_step_of_every_finite_value(values):
    original = make_activation(values)
    stored = original.converted("uint8")
    scale, offset = (
        each.astype(np.float64) for each in (stored.quantization.scale, stored.quantization.offset)
    )
    with np.errstate(invalid="ignore"):
        exact = values.astype(np.float64)
    finite = np.isfinite(exact)

    error = np.abs(scale * stored.values + offset - np.where(finite, exact, 0))
    rounding = (
        1e-6 * np.max(np.abs(exact), where=finite, initial=0) + 256 * np.finfo(np.float32).smallest_subnormal
    )

    assert stored.values.dtype == np.uint8
    assert (error <= scale / 2 + rounding)[finite].all()
    assert stored.nonfinite == original.nonfinite


def test_uint8_stores_infinities_at_the_ends_and_is_not_stretched_by_them():
    values = np.array([[[5.0], [6.0], [np.inf], [-np.inf], [np.nan]]], np.float32)

    stored = make_activation(values).converted("uint8")

    assert stored.values.ravel().tolist() == [0, 255, 255, 0, 0]
    assert stored.quantization.offset.tolist() == [5.0]
    assert stored.nonfinite == 3


def test_uint8_spans_all_that_float32_holds():
    largest = np.finfo(np.float32).max

    stored = make_activation(np.array([[[-largest], [0], [largest]]])).converted("uint8")

    assert stored.values.ravel().tolist() in ([0, 127, 255], [0, 128, 255])
    assert np.isfinite(stored.quantization.scale).all()


def test_uint8_of_a_constant_is_that_constant():
    stored = make_activation(np.full((1, 2, 2, 1), 3.5, np.float32)).converted("uint8")

    assert (stored.quantization.scale, stored.quantization.offset) == (0, 3.5)
    assert not stored.values.any()


def test_uint8_needs_a_channel_axis():
    with pytest.raises(OptionInvalid, match="no channels"):
        make_activation(np.zeros(2, np.float32)).converted("uint8")


def test_float16_rounds_and_counts_what_overflows():
    converted = make_activation(np.array([[0.1, 1e6]], np.float32)).converted("float16")

    assert converted.values.tolist() == [[float(np.float16(0.1)), np.inf]]
    assert converted.nonfinite == 1


@given(arrays())
def test_nonfinite_counts_nan_and_infinities_of_every_dtype(values):
    activation = make_activation(values)

    assert activation.nonfinite == np.count_nonzero(~np.isfinite(values))


@pytest.mark.parametrize("options", [{"stride": 0}, {"reduce": "sum"}, {"dtype": "int8"}, {"layout": "chwn"}])
def test_options_are_checked_when_they_are_made(options):
    with pytest.raises(OptionInvalid):
        TensorOptions(**options)


def test_activations_are_a_mapping_in_graph_order_and_reduce_together(values):
    both = make_activations(make_activation(values, path=("b",)), make_activation(values, path=("a",)))

    reduced = both.reduced(TensorOptions(reduce="max", channels="0"))

    assert list(reduced) == ["b", "a"]
    assert [each.values.shape for each in reduced.values()] == [(2, 1), (2, 1)]
    assert reduced.images == both.images
