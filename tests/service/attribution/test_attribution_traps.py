"""What other tools fell into: nothing to divide by, NaN, maps of one place, noise, callers who leave, memory."""

from concurrent.futures import ThreadPoolExecutor

import eager_methods
import numpy as np
import pytest
from test_attribution_methods import difference, pictures

from layerscope.attribution import METHODS
from layerscope.errors import AnswerTooLarge, DeadlineExceeded, OptionInvalid
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import CancellationToken, Query
from layerscope.limits import Limits
from layerscope.render import PictureOptions, render

IMAGES = pictures(2, seed=8)
LAYER_METHODS = [name for name, method in METHODS.items() if method.kind == "layer"]


def query(method, images=IMAGES, model="plain"):
    sources = {"image": [TensorSource(np.asarray(images, np.float32))]}
    return Query(model=model, sources=sources, methods={method: METHODS[method].options()})


def attribute(engine, request, **more):
    with engine.prepare(request) as prepared, prepared.run(**more) as result:
        return result


@pytest.mark.parametrize("method", METHODS)
def test_dead_and_constant_channels_are_no_obstacle(explain, method):
    with np.errstate(all="raise"):
        found = explain("dead", method, IMAGES)
    assert np.isfinite(found.maps).all()
    assert found.maps.any()


@pytest.mark.parametrize("method", LAYER_METHODS)
def test_dead_channels_count_as_the_papers_have_them(explain, method):
    example = explain.examples["dead"]
    options = {"target": "1"} if METHODS[method].has_target else {}
    found = explain("dead", method, IMAGES, layer="last", **options)
    assert difference(found.maps, eager_methods.METHODS[method](example, IMAGES)) < 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_a_layer_that_is_dead_all_over_has_a_map_of_zeros(explain, method):
    found = explain("silent", method, IMAGES)
    assert not found.maps.any()
    picture = render(found.maps, PictureOptions(), limits=Limits())
    assert (picture.value_min, picture.value_max) == (0, 0)


@pytest.mark.parametrize("method", METHODS)
def test_a_map_of_nan_is_told_and_drawn_as_such(explain, method):
    found = explain("poisoned", method, IMAGES)
    told = np.isfinite(found.maps)
    assert not told.any() or METHODS[method].kind == "input"
    assert render(found.maps, PictureOptions(), limits=Limits()).nonfinite == (~told).sum()


@pytest.mark.parametrize("method", LAYER_METHODS)
def test_maps_of_one_place(explain, method):
    example = explain.examples["point"]
    options = {"target": "1"} if METHODS[method].has_target else {}
    found = explain("point", method, IMAGES, layer="last", **options)
    assert found.maps.shape == (2, 1, 1)
    expected = eager_methods.METHODS[method](example, IMAGES)
    np.testing.assert_allclose(found.maps, expected, rtol=1e-4, atol=1e-6)


def test_noise_is_that_of_its_seed(explain, explain_anew):
    first, again, other = (
        run("plain", "smoothgrad", IMAGES, seed=seed, samples=4).maps
        for run, seed in ((explain, 1), (explain_anew, 1), (explain, 2))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("patch", "stride"), [(5, 3), (4, 4), (5, 5), (2, 5), (1, 6), (12, 1), (20, 1)])
def test_patches_of_any_size_cover_the_image_to_its_border(explain, patch, stride):
    example = explain.examples["plain"]
    found = explain("plain", "occlusion", IMAGES, target="1", patch=patch, stride=stride)
    side = IMAGES.shape[1]
    starts = [0]
    while starts[-1] + patch < side and starts[-1] + stride < side:
        starts.append(starts[-1] + stride)
    whole = eager_methods.outputs(example, IMAGES)
    drops, covers = np.zeros(found.maps.shape), np.zeros(found.maps.shape)
    for top in starts:
        for left in starts:
            window = np.s_[:, top : top + patch, left : left + patch]
            covered = IMAGES.copy()
            covered[window] = 0
            drops[window] += (whole - eager_methods.outputs(example, covered))[:, None, None]
            covers[window] += 1
    np.testing.assert_allclose(found.maps, drops / np.maximum(covers, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("baseline", "value"), [("black", -1), ("grey", 0), ("white", 1), ("zero", 0), (None, -1)]
)
def test_baselines_are_colours_as_the_model_sees_them(explain, baseline, value):
    example = explain.examples["plain"]
    found = explain("plain", "integrated-gradients", IMAGES, target="1", baseline=baseline, steps=8)
    expected = eager_methods.integrated_gradients(example, IMAGES, steps=8, baseline=float(value))
    assert difference(found.maps, expected) < 1e-4


def test_the_mean_colour_is_that_of_the_image(explain):
    flat = np.ones_like(IMAGES) * np.array([0.5, -0.5, 0.1], np.float32)
    assert np.abs(explain("plain", "integrated-gradients", flat, baseline="mean", steps=2).maps).max() < 1e-6


def test_an_input_that_takes_no_images_has_no_colours(explain):
    matrix = np.random.default_rng(0).normal(size=(2, 6, 7)).astype(np.float32)
    assert explain("matrix", "integrated-gradients", matrix, steps=3).maps.shape == (2, 6, 7)
    assert explain("matrix", "occlusion", matrix, baseline="mean", patch=3).maps.any()
    with pytest.raises(OptionInvalid, match="grey is to this input is not known"):
        explain("matrix", "occlusion", matrix, baseline="grey")


def test_a_matrix_is_explained_without_channels(explain):
    example = explain.examples["matrix"]
    matrix = np.random.default_rng(1).normal(size=(2, 6, 7)).astype(np.float32)
    kernel = example.model.get_layer("kind").kernel.numpy()[:, 1].reshape(6, 7)
    found = explain("matrix", "saliency", matrix, target="1")
    np.testing.assert_allclose(found.maps, np.abs(np.broadcast_to(kernel, (2, 6, 7))), rtol=1e-4)


def test_only_the_input_that_is_explained_is_varied(explain):
    example = explain.examples["pair"]
    numbers = np.array([[3, -2], [0, 1]], np.float32)
    sources = {"picture": [TensorSource(IMAGES)], "numbers": [TensorSource(numbers)]}
    options = METHODS["occlusion"].options(target="2", patch=6)
    query = Query(model="pair", sources=sources, methods={"occlusion": options})
    found = explain.engine.run(query).attribution("occlusion")
    assert found.target_layer.address == "picture"
    whole = np.asarray(example.model([IMAGES, numbers]))[:, 2]
    covered = IMAGES.copy()
    covered[:, :6, 6:] = 0
    drop = whole - np.asarray(example.model([covered, numbers]))[:, 2]
    np.testing.assert_allclose(found.maps[:, 2, 8], drop, rtol=1e-3, atol=1e-6)


def test_equal_questions_at_the_same_time_are_answered_once(start):
    explain = start("plain")
    explain("plain", "saliency", pictures(1, seed=20))
    before = explain.engine.runs
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: explain("plain", "saliency", pictures(1, seed=21)), range(8)))
    assert explain.engine.runs == before + 2
    assert len({each.maps.tobytes() for each in found}) == 1


@pytest.mark.parametrize("method", ["occlusion", "scorecam", "smoothgrad", "integrated-gradients"])
def test_maps_are_the_same_to_the_last_bit_whatever_runs_with_them(explain_anew, method):
    alone = explain_anew("plain", method, IMAGES, target="1").maps
    with ThreadPoolExecutor(6) as pool:
        others = [pool.submit(explain_anew, "plain", method, pictures(2, seed=seed)) for seed in range(5)]
        together = pool.submit(explain_anew, "plain", method, IMAGES, target="1").result()
    assert all(other.result().maps.shape == alone.shape for other in others)
    np.testing.assert_array_equal(together.maps, alone)


def test_who_does_not_wait_costs_nothing(start):
    explain = start("plain")
    token = CancellationToken()
    token.cancel()
    with pytest.raises(DeadlineExceeded):
        attribute(explain.engine, query("occlusion"), cancellation=token)
    assert explain.engine.runs == 0


def test_who_leaves_on_the_way_costs_no_more_than_has_begun(start):
    explain = start("plain", batch_rows=1)
    seen, token = [], CancellationToken()

    def leave(*done):
        seen.append(done)
        if len(seen) == 2:
            token.cancel()

    with pytest.raises(DeadlineExceeded):
        attribute(explain.engine, query("occlusion"), progress=leave, cancellation=token)
    assert explain.engine.runs <= 1 + 2 + 2


def test_progress_is_told_up_to_the_end(start):
    explain = start("plain", batch_rows=1)
    seen = []
    attribute(explain.engine, query("smoothgrad"), progress=lambda *each: seen.append(each))
    assert seen == [(done, 50) for done in range(1, 51)]


def test_what_takes_more_memory_than_a_request_may_is_refused_before_it_runs(start):
    explain = start("plain", working_bytes=1_000)
    for method in METHODS:
        with pytest.raises(AnswerTooLarge):
            explain.engine.run(query(method))
    assert explain.engine.runs == 0


def test_an_attribution_that_takes_too_long_ends(start):
    explain = start("plain", attribution_milliseconds=1)
    with pytest.raises(DeadlineExceeded):
        explain.engine.run(query("smoothgrad"))


def test_a_stored_map_is_not_changed_by_who_gets_it(explain):
    found = explain("plain", "gradcam", IMAGES).maps
    kept = found.copy()
    found *= 0
    np.testing.assert_array_equal(explain("plain", "gradcam", IMAGES).maps, kept)


def test_values_of_any_size_of_image(explain):
    for side in (9, 17):
        images = pictures(1, side=side)
        assert explain("any_size", "saliency", images).maps.shape == (1, side, side)
        assert explain("any_size", "gradcam", images).maps.shape == (1, side - 2, side - 2)


def test_the_time_that_a_caller_gives_is_for_attributions_too(explain):
    sources = {"image": [TensorSource(np.asarray(pictures(1, seed=9), np.float32))]}

    def inspect(method, **more):
        methods = {method: METHODS[method].options()}
        return explain.engine.run(
            Query(model="plain", sources=sources, layers=["outputs"], methods=methods, **more)
        )

    # The values that both are made of are there from now on, and take no time.
    assert inspect("smoothgrad").attributions
    with pytest.raises(DeadlineExceeded):
        inspect("saliency", timeout=1e-6)
