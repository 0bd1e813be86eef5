"""Admission: what a query takes is known before it runs, and all queries together stay within what there is."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import keras
import numpy as np
import pytest
import unforeseen_sizes
from engine_models import png, query, tensor
from keras import layers
from unforeseen_sizes import EveryStep

from layerscope.errors import (
    AnswerTooLarge,
    InputMismatch,
    LayerNotFound,
    MemoryBusy,
    TooMany,
    UnsupportedImage,
)
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits

SIZE = 12 * 12 * 8 * 4
"""Bytes of each of the four convolutions of `plain`, for one image."""


@pytest.fixture(scope="module")
def odd_engine(tmp_path_factory):
    """A model that folds rows into the batch axis, and one of which only a run can tell how many steps it gives."""
    directory = tmp_path_factory.mktemp("odd")
    start = keras.Input((4, 3), name="start")
    inside = layers.Dense(5, name="inside")(keras.ops.reshape(start, (-1, 3)))
    keras.Model(start, keras.ops.reshape(inside, (-1, 4, 5))).save(directory / "folded.keras")
    steps = keras.Input((None, 3), name="steps")
    every = EveryStep(name="every")(steps)
    folder = directory / "any_steps" / "1"
    folder.mkdir(parents=True)
    keras.Model(steps, layers.Dense(2, name="head")(every)).save(folder / "model.keras")
    shutil.copy(unforeseen_sizes.__file__, folder / "classes.py")
    (folder / "layerscope.json").write_text(json.dumps({"plugins": ["classes.py"]}), "utf-8")
    tokens = keras.Input((None, 3), name="tokens")
    mixed = layers.MultiHeadAttention(2, 4, name="attention")(tokens, tokens)
    keras.Model(tokens, layers.GlobalAveragePooling1D(name="mean")(mixed)).save(directory / "tokens.keras")
    engine = LocalEngine(directory, Limits(run_bytes=2_000))
    engine.load_all()
    yield engine
    engine.close()


def shapes(plan):
    return {layer.tap.address: layer.shape for layer in plan.layers}


PAIR = Query(
    model="pair",
    layers=["all"],
    sources={"picture": [TensorSource(tensor(3, 6, 6, 1))], "words": [TensorSource(np.ones((3, 4)))]},
)


@pytest.mark.parametrize(
    ("request_", "images"),
    [
        (query("plain", ["all"], tensor(12, 12, 3), tensor(12, 12, 3, seed=1)), 2),
        (query("plain", ["conv1@input", "conv2@preactivation"], png(20, 30)), 1),
        (query("free", ["all"], png(9, 6)), 1),
        (PAIR, 3),
    ],
)
def test_a_plan_is_what_comes_without_running_it(shared_engine, request_, images):
    before = shared_engine.runs
    plan = shared_engine.plan(request_)
    assert (shared_engine.runs, plan.refusal, plan.images) == (before, None, images)
    found = shared_engine.run(request_).activations
    assert shapes(plan) == {address: each.values.shape for address, each in found.items()}
    assert plan.computation.fetched == sum(each.values.nbytes for each in found.values())


def test_a_plan_needs_no_images_where_they_are_all_of_one_size(shared_engine):
    request = Query(model="plain", sources={}, layers=["conv1"])
    for images in (1, 5):
        plan = shared_engine.plan(request, images)
        assert shapes(plan) == {"conv1": (images, 12, 12, 8)}
        assert (plan.computation.fetched, plan.computation.intermediate) == (images * SIZE, images * SIZE)
    with pytest.raises(TooMany, match="65 images"):
        shared_engine.plan(request, 65)
    with pytest.raises(InputMismatch, match="any size"):
        shared_engine.plan(Query(model="free", sources={}, layers=["conv"]))
    with pytest.raises(LayerNotFound):
        shared_engine.plan(Query(model="plain", sources={}, layers=["conv9"]))


def test_what_is_cached_needs_no_room_to_compute(shared_engine):
    first, second = tensor(12, 12, 3, seed=71), tensor(12, 12, 3, seed=72)

    def besides(layers, *images):
        return shared_engine.plan(query("plain", layers, *images)).computation.intermediate

    assert besides(["conv2"], first, second) == 2 * SIZE
    shared_engine.run(query("plain", ["conv2"], first))
    assert besides(["conv2"], first, second) == SIZE
    assert besides(["conv2"], first) == 0
    assert besides(["conv0", "conv2"], first) == 12 * 12 * 3 * 4


def test_rows_that_are_folded_into_the_batch_axis_count(odd_engine):
    request = query("folded", ["inside"], tensor(2, 4, 3))
    plan = odd_engine.plan(request)
    assert shapes(plan) == {"inside": (2, 4, 5)}
    assert plan.computation.fetched == 2 * 4 * 5 * 4
    assert odd_engine.run(request).activations["inside"].values.shape == (2, 4, 5)
    with pytest.raises(AnswerTooLarge, match="takes 2,"):
        odd_engine.run(query("folded", ["inside"], tensor(24, 4, 3)))


def test_what_only_a_run_can_tell_is_not_planned_and_yet_admitted_by_its_size(odd_engine):
    request = query("any_steps", ["head"], tensor(7, 3))
    before = odd_engine.runs
    plan = odd_engine.plan(request)
    assert (shapes(plan), plan.computation, plan.refusal) == ({"head": (1, None, 2)}, None, None)
    assert odd_engine.runs == before
    assert odd_engine.run(request).activations["head"].values.shape == (1, 7, 2)
    with pytest.raises(AnswerTooLarge):
        odd_engine.run(query("any_steps", ["head"], tensor(150, 3)))


def test_what_a_layer_makes_on_its_way_is_admitted_too(odd_engine):
    odd_engine.run(query("tokens", ["mean"], tensor(5, 3)))
    before = odd_engine.runs
    with pytest.raises(AnswerTooLarge) as raised:
        odd_engine.run(query("tokens", ["mean"], tensor(100, 3)))
    assert raised.value.details["bytes"] >= 2 * 100 * 100 * 4
    assert odd_engine.runs == before


@pytest.fixture(scope="module")
def small(start_engine):
    return start_engine(run_bytes=5 * SIZE, working_bytes=8 * SIZE)


def test_values_on_the_way_count_for_each_image(small):
    arrays = [tensor(12, 12, 3, seed=number) for number in range(3)]
    small.run(query("plain", ["conv3"], *arrays[:2]))
    with pytest.raises(AnswerTooLarge) as raised:
        small.run(query("plain", ["conv2"], *arrays))
    assert (raised.value.details["bytes"], raised.value.details["limit"]) == (6 * SIZE, 5 * SIZE)
    assert len(raised.value.details["ways"]) == 3
    plan = small.plan(query("plain", ["conv2"], *arrays))
    assert (plan.refusal.message, plan.refusal.details) == (raised.value.message, raised.value.details)


@contextmanager
def answering(engine, request, answer_bytes):
    """Run a query to make an answer of so many bytes."""
    with engine.prepare(request) as prepared, prepared.run(answer_bytes) as result:
        yield result


def test_memory_is_taken_from_admission_until_the_answer_is_made(shared_engine):
    engine = shared_engine
    request = query("plain", ["conv1"], tensor(12, 12, 3))
    with answering(engine, request, 10 * SIZE) as result:
        assert result.activations["conv1"].values.nbytes == SIZE
        assert engine.working_bytes == 11 * SIZE
    assert engine.working_bytes == 0
    with suppress(KeyError), answering(engine, request, 10 * SIZE):
        raise KeyError
    assert engine.working_bytes == 0


@pytest.mark.parametrize(
    ("request_", "answer_bytes", "error"),
    [
        (query("plain", ["conv1"], b"no image"), 0, UnsupportedImage),
        (query("plain", ["conv1"], tensor(5, 5, 3)), 0, InputMismatch),
        (query("plain", ["conv1"], tensor(12, 12, 3)), 8 * SIZE, AnswerTooLarge),
    ],
)
def test_memory_is_given_back_whatever_goes_wrong(small, request_, answer_bytes, error):
    with pytest.raises(error), answering(small, request_, answer_bytes):
        pass
    assert small.working_bytes == 0


def test_a_caller_that_refuses_a_plan_has_taken_no_memory(small):
    before = small.runs
    with suppress(KeyError), small.prepare(query("plain", ["conv1"], tensor(12, 12, 3, seed=8))) as prepared:
        assert prepared.plan.computation.working_bytes(SIZE) == 2 * SIZE
        raise KeyError
    assert (small.working_bytes, small.runs) == (0, before)


def test_what_is_more_than_there_is_will_never_be_admitted(small):
    before = small.runs
    request = query("plain", ["conv1"], tensor(12, 12, 3, seed=9))
    with (
        pytest.raises(AnswerTooLarge, match="all requests together") as raised,
        answering(small, request, 8 * SIZE),
    ):
        pass
    assert (raised.value.details["bytes"], raised.value.details["limit"]) == (9 * SIZE, 8 * SIZE)
    assert len(raised.value.details["ways"]) == 3
    assert small.runs == before


def test_more_than_is_free_waits_and_then_succeeds(small, shared_engine):
    most = []

    def ask(seed):
        request = query("plain", ["conv3"], tensor(12, 12, 3, seed=seed))
        with answering(small, request, 3 * SIZE) as result:
            most.append(small.working_bytes)
            return result.activations["conv3"].values

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(24)))
    assert max(most) <= 8 * SIZE
    assert small.working_bytes == 0
    for seed, values in enumerate(answers):
        alone = shared_engine.run(query("plain", ["conv3"], tensor(12, 12, 3, seed=seed)))
        np.testing.assert_allclose(values, alone.activations["conv3"].values, atol=1e-5)


def test_more_than_is_free_for_too_long_is_told_to_come_again(start_engine):
    engine = start_engine("plain", working_bytes=5 * SIZE, deadline_milliseconds=1000)
    large = query("plain", ["conv3"], tensor(12, 12, 3))
    other = query("plain", ["conv3"], tensor(12, 12, 3, seed=1))
    with answering(engine, large, 3 * SIZE):
        with pytest.raises(MemoryBusy) as raised:
            engine.run(other)
        assert raised.value.details == {"bytes": 2 * SIZE, "taken": 4 * SIZE, "limit": 5 * SIZE}
    assert engine.run(other).activations["conv3"].values.shape == (1, 12, 12, 8)
