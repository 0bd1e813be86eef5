"""The engine: from images to activations, one request or many at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from engine_models import png, query, tensor

from layerscope.demo import MODELS, samples
from layerscope.errors import (
    AnswerTooLarge,
    DeadlineExceeded,
    ImageUnreadable,
    InputMismatch,
    InvalidSelector,
    LayerNotFound,
    ModelLoading,
    ModelNotFound,
    TooMany,
    UnsupportedImage,
)
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.images import Preprocessing, decode
from layerscope.limits import Limits


def same(first, second):
    assert list(first.activations) == list(second.activations)
    for address, activation in first.activations.items():
        values = second.activations[address].values
        assert activation.values.dtype == values.dtype
        np.testing.assert_array_equal(activation.values, values)


def test_images_of_the_demo_become_the_values_that_keras_computes():
    engine = LocalEngine(MODELS)
    engine.load_all()
    files = [path.read_bytes() for path in samples().values()]
    result = engine.run(query("digits", ["conv1", "outputs"], *files))
    pixels = np.stack([decode(data, engine.limits).pixels.reshape(28, 28, 1) for data in files])
    model = keras.saving.load_model(MODELS / "digits" / "1" / "model.keras", compile=False)
    np.testing.assert_allclose(
        result.activations["probabilities"].values, model(pixels.astype(np.float32) / 255), atol=1e-5
    )
    assert result.activations["probabilities"].values.argmax(axis=1).tolist() == list(range(10))
    assert result.activations["conv1"].values.shape == (10, 28, 28, 16)
    assert len(set(result.activations.images)) == 10
    engine.close()
    with pytest.raises(ModelNotFound):
        engine.describe("digits")


def test_the_second_request_is_a_hit_and_exactly_the_same(start_engine):
    engine = start_engine("plain")
    request = query("plain", ["conv1", "flat"], tensor(12, 12, 3), tensor(12, 12, 3, seed=1))
    first, second = engine.run(request), engine.run(request)
    assert (first.activations.hit, second.activations.hit, engine.runs) == (False, True, 1)
    assert second.activations.seconds["run"] == 0
    same(first, second)
    third = engine.run(query("plain", ["conv2", "conv1"], tensor(12, 12, 3, seed=1)))
    assert (third.activations.hit, engine.runs) == (False, 2)


def test_one_picture_twice_in_a_request_is_run_once(start_engine):
    result = start_engine("plain").run(query("plain", ["flat"], *[tensor(12, 12, 3)] * 3))
    values = result.activations["flat"].values
    assert values.shape[0] == 3
    np.testing.assert_array_equal(values[0], values[2])


def test_ten_simultaneous_requests_for_one_picture_run_the_model_once(start_engine):
    engine, barrier = start_engine("plain"), threading.Barrier(10)

    def ask(_):
        barrier.wait(60)
        return engine.run(query("plain", ["conv3"], png(12, 12)))

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(ask, range(10)))
    assert engine.runs == 1
    assert sum(not result.activations.hit for result in results) == 1
    for result in results:
        same(result, results[0])


def requests():
    """Mixed models, taps and counts; no picture twice, so that nothing is answered from the cache."""
    for seed in range(8):
        yield query("plain", ["conv1", "flat"], tensor(12, 12, 3, seed=seed))
        yield query(
            "plain", ["conv2"], *(tensor(12, 12, 3, seed=100 * seed + n) for n in range(seed % 3 + 1))
        )
        yield query("free", ["all"], tensor(6 + seed % 2, 7, 3, seed=seed))


def test_concurrent_requests_equal_the_same_in_series(start_engine):
    series, together = start_engine(batch_rows=1), start_engine(batch_rows=1)
    expected = [series.run(request) for request in requests()]
    with ThreadPoolExecutor(12) as pool:
        for result, wanted in zip(pool.map(together.run, requests()), expected, strict=True):
            same(result, wanted)


def test_concurrent_requests_in_batches_are_each_others_neighbours_only(start_engine):
    expected = list(map(start_engine(batch_rows=1).run, requests()))
    with ThreadPoolExecutor(12) as pool:
        for result, wanted in zip(pool.map(start_engine().run, requests()), expected, strict=True):
            for address, activation in wanted.activations.items():
                np.testing.assert_allclose(result.activations[address].values, activation.values, atol=1e-5)


def test_what_is_kept_does_not_keep_its_batch(start_engine):
    result = start_engine("plain").run(
        query("plain", ["conv1"], *(tensor(12, 12, 3, seed=n) for n in range(4)))
    )
    single = start_engine("plain").run(query("plain", ["conv1"], tensor(12, 12, 3)))
    for activations in (result.activations, single.activations):
        values = activations["conv1"].values
        assert values.base is None or values.base.nbytes <= values.nbytes


def test_a_bad_image_fails_its_own_request_only(start_engine):
    engine, barrier = start_engine("plain"), threading.Barrier(6)
    damaged = png(12, 12)[:200]

    def ask(number):
        barrier.wait(60)
        return engine.run(query("plain", ["flat"], damaged if number % 2 else png(12, 12, seed=number)))

    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(ask, number) for number in range(6)]
    for number, call in enumerate(calls):
        if number % 2:
            with pytest.raises(ImageUnreadable):
                call.result()
        else:
            assert call.result().activations["flat"].values.shape == (1, 12 * 12 * 8)


@pytest.mark.parametrize("size", [(5, 5), (9, 6)])
def test_free_input_sizes_are_admitted_by_their_exact_shape(shared_engine, size):
    with shared_engine.prepare(query("free", ["all"], png(*size))) as prepared, prepared.run() as result:
        assert {spec.address: spec.shape for spec in prepared.plan.specs} == {
            address: activation.values.shape for address, activation in result.activations.items()
        }


def test_images_of_different_sizes_are_refused_even_when_they_are_known(start_engine):
    engine = start_engine()
    small, large = tensor(6, 6, 3), tensor(7, 6, 3)
    for layers in (["conv"], ["pool"]):
        for _ in range(2):
            with pytest.raises(InputMismatch, match="different sizes"):
                engine.run(query("free", layers, small, large))
            engine.run(query("free", layers, small))
            engine.run(query("free", layers, large))


def test_what_is_too_much_is_refused_before_anything_runs(start_engine):
    engine = start_engine("plain", run_bytes=2 * 12 * 12 * 8 * 4, images_per_request=2, selectors=2)
    engine.run(query("plain", ["conv1"], tensor(12, 12, 3)))
    runs = engine.runs
    with pytest.raises(AnswerTooLarge, match=r"takes 13,824 bytes, 4,608 of them on the way;.* 9,216"):
        engine.run(query("plain", ["conv1", "conv2"], tensor(12, 12, 3)))
    with pytest.raises(TooMany, match="3 images"):
        engine.run(query("plain", ["conv1"], tensor(3, 12, 12, 3)))
    with pytest.raises(TooMany, match="3 layer selectors"):
        engine.run(query("plain", ["conv1,conv2,conv3"], tensor(12, 12, 3)))

    with engine.prepare(query("plain", ["conv2"], tensor(12, 12, 3))) as prepared:
        assert [spec.shape for spec in prepared.plan.specs] == [(1, 12, 12, 8)]
        with pytest.raises(AnswerTooLarge, match="all requests together"), prepared.run(10**12):
            pass
    assert engine.runs == runs


def test_a_request_whose_time_is_up_says_so(start_engine):
    with pytest.raises(DeadlineExceeded):
        start_engine("plain", deadline_milliseconds=0).run(query("plain", ["conv1"], tensor(12, 12, 3)))


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (query("plain@2", ["conv1"], tensor(12, 12, 3)), ModelNotFound),
        (query("plain", ["conv9"], tensor(12, 12, 3)), LayerNotFound),
        (query("plain", ["conv1"]), InputMismatch),
        (query("plain", ["conv1"], b"no image"), UnsupportedImage),
    ],
)
def test_what_cannot_be_answered(shared_engine, request_, error):
    with pytest.raises(error):
        shared_engine.run(request_)


@pytest.mark.parametrize("blank", ["", " ", ","])
def test_a_blank_selector_names_no_layer(blank):
    engine = LocalEngine(MODELS)
    engine.load_all()
    with pytest.raises(InvalidSelector, match="no layer selector"):
        engine.receptive_field(Query(model="digits", sources={}, layers=[blank]), {})
    engine.close()


def test_an_engine_that_loads_tells_which_models_must_be_waited_for(model_directory):
    engine, states = LocalEngine(model_directory), []

    def note(entry):
        states.append([each.state for each in engine.catalogue()])
        if len(states) == 1:
            with pytest.raises(ModelLoading):
                engine.describe("plain")
            assert not engine.is_ready

    engine.load_all(note)
    assert states == [["ready", "loading", "loading"], ["ready", "ready", "loading"], ["ready"] * 3]
    assert engine.is_ready
    engine.close()
    assert engine.catalogue() == []


def test_closing_ends_loading(model_directory):
    engine = LocalEngine(model_directory, Limits())
    engine.load_all(lambda _: engine.close())
    assert not engine.is_ready
    assert {entry.state for entry in engine.catalogue()} == {"loading"}


def test_preprocessing_is_part_of_what_is_cached(shared_engine):
    description = shared_engine.describe("plain")
    assert isinstance(description.preprocessing["start"], Preprocessing)
    image = np.random.default_rng(5).integers(0, 256, (12, 12, 3), np.uint8)
    fed = shared_engine.run(query("plain", ["conv1"], image.astype(np.float32)))
    scaled = shared_engine.run(query("plain", ["conv1"], image.astype(np.float32) / 255))
    assert not np.allclose(fed.activations["conv1"].values, scaled.activations["conv1"].values)
