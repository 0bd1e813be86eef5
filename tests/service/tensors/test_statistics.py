import json
from dataclasses import replace

import numpy as np
import pytest
from activation_examples import arrays, make_activation, make_tap
from hypothesis import example, given

from layerscope.tensors.activations import Activation
from layerscope.tensors.report import report_of
from layerscope.tensors.statistics import positions_of, statistics_of
from layerscope.tensors.totals import totals_of

FIGURES = ("min", "max", "mean", "std", "fraction_zero")


def expected_of(values):
    # In a wider type than the statistics themselves, so that nothing overflows or vanishes here.
    finite = values[np.isfinite(values)].astype(np.longdouble)
    with np.errstate(over="ignore"):
        figures = [float(f(finite)) if finite.size else None for f in (np.min, np.max, np.mean, np.std)]
    share = np.mean(finite == 0) if finite.size else None
    return dict(zip(FIGURES, [*figures, share], strict=True)), values.size - finite.size


def agree(given_figures, values):
    figures, nonfinite = expected_of(values)
    assert given_figures["nonfinite"] == nonfinite
    for name, expected in figures.items():
        if expected is None:
            assert given_figures[name] is None
        else:
            reach = float(np.max(np.abs(values[np.isfinite(values)]).astype(np.float64)))
            assert given_figures[name] == pytest.approx(expected, rel=1e-9, abs=1e-12 * reach + 1e-320)


@given(arrays(dtypes=("float16", "float32", "float64", "int32", "bool"), min_side=1))
@example(np.array([[[1e200], [3e200]]]))
@example(np.array([[[1e-200], [3e-200]]]))
@example(np.array([[[1e300, 1e-300], [3e300, 3e-300]]]))
@example(np.array([[[1.7e308, -1.7e308], [1.7e308, 1.7e308]]]))
def test_every_figure_is_that_of_the_finite_values(values):
    figures = statistics_of(make_activation(values)).as_json()

    agree(figures, values)
    for number in range(values.shape[-1] if values.ndim > 1 else 0):
        one = {name: figures["channels"][name][number] for name in (*FIGURES, "nonfinite")}
        agree(one, values[..., number])


@given(arrays(dtypes=("float16", "float32", "float64", "int64", "bool")))
def test_the_answer_is_always_valid_json(values):
    json.dumps(statistics_of(make_activation(values)).as_json(), allow_nan=False)


@given(arrays(dtypes=("float16", "float32", "int32", "bool")))
def test_totals_add_up_to_the_statistics(values):
    activation = make_activation(values)
    totals, layer = totals_of(activation), statistics_of(activation).layer

    assert len(totals) == len(values)
    finite, total = (sum(getattr(each, name) for each in totals) for name in ("finite", "total"))
    assert (finite, sum(each.nonfinite for each in totals)) == (layer.count, layer.nonfinite)
    if finite:
        reach = float(np.max(np.abs(values[np.isfinite(values)]).astype(np.float64)))
        assert total / finite == pytest.approx(layer.mean.item(), rel=1e-9, abs=1e-12 * reach + 1e-320)
        assert sum(each.zeros for each in totals) / finite == pytest.approx(layer.fraction_zero.item())
    active = (values[:, None] if values.ndim == 1 else values).any(axis=tuple(range(1, values.ndim - 1)))
    np.testing.assert_array_equal([each.active for each in totals] or active, active)


def test_without_a_finite_value_there_are_no_figures():
    figures = statistics_of(make_activation(np.array([[np.nan, 1.0]], np.float32))).as_json()

    assert figures["channels"]["min"] == [None, 1.0]
    assert figures["channels"]["std"] == [None, 0.0]
    assert figures["channels"]["nonfinite"] == [1, 0]
    assert (figures["mean"], figures["nonfinite"]) == (1.0, 1)


def test_one_number_an_image_has_no_channels():
    figures = statistics_of(make_activation(np.array([0.0, 4.0], np.float32))).as_json()

    assert figures["channels"] is None
    assert (figures["mean"], figures["std"], figures["fraction_zero"]) == (2.0, 2.0, 0.5)


def test_a_constant_has_no_spread_however_often_it_occurs():
    figures = statistics_of(make_activation(np.full((2, 100, 100, 3), 0.1, np.float32))).as_json()

    assert figures["std"] == pytest.approx(0, abs=1e-12)
    assert figures["channels"]["mean"] == pytest.approx([float(np.float32(0.1))] * 3, rel=1e-12)


def test_channels_first_values_have_the_same_figures():
    values = np.random.default_rng(3).normal(size=(2, 5, 4, 3)).astype(np.float32)
    last = statistics_of(make_activation(values)).as_json()
    first = statistics_of(make_activation(np.moveaxis(values, 3, 1), channels_first=True)).as_json()

    assert first["channels"]["max"] == last["channels"]["max"]
    assert first["channels"]["std"] == pytest.approx(last["channels"]["std"])


@given(arrays(min_side=0, max_side=2))
@example(np.zeros((1, 0), np.float32))
@example(np.zeros((2, 3, 0, 4), np.float32))
@example(np.array([0, 5e-324]))
@example(np.array([-1.7e308, 1.7e308]))
def test_values_of_any_shape_have_a_report(values):
    report = report_of(make_activation(values), 4).as_json("channel")
    assert sum(report["histogram"]["counts"]) == np.isfinite(values).sum()


@pytest.mark.parametrize("axes", [("tokens", "channels"), ("channels", "time")])
def test_positions_are_over_all_images_and_channels(axes):
    shape = (3, 4, 5)
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    values[1, 2, 3] = np.nan

    name, found = positions_of(with_axes(values, *axes))

    place = 1 + axes.index(name)
    assert name in {"tokens", "time"}
    figures = found.as_json()
    for number in range(shape[place]):
        one = {key: each[number] for key, each in figures.items()}
        agree(one, np.take(values, number, axis=place))


@pytest.mark.parametrize("axes", [("height", "width", "channels"), ("channels",), ("unknown", "channels")])
def test_what_has_not_one_axis_of_known_places_has_no_positions(axes):
    assert positions_of(with_axes(np.ones((2, *range(3, 3 + len(axes)))), *axes)) is None


def with_axes(values, *axes):
    tap = make_tap(values.shape[1:])
    return Activation.of(replace(tap, tensor=replace(tap.tensor, axes=axes)), values)
