"""Queries, their plans and their results are data: they go through pickle, and to another process, and come back equal."""

import multiprocessing
import pickle
from dataclasses import replace

import numpy as np
import pytest
from engine_models import png, query, tensor

from layerscope.attribution import METHODS
from layerscope.execution.inputs import ImageSource, TensorSource
from layerscope.execution.interface import CancellationToken, Query

ODD = np.array([np.nan, np.inf, -np.inf, -0.0], np.float32).reshape(1, 2, 2, 1)

QUERIES = {
    "images": query("plain", ["conv1", "outputs"], png(20, 30), png(12, 12)),
    "tensors": query("plain", ["all"], tensor(2, 12, 12, 3)),
    "pixels": Query(
        model="plain",
        sources={"image": [TensorSource(np.zeros((12, 12, 3), np.uint8), preprocess=True)]},
        layers=("conv1",),
    ),
    "several inputs": Query(
        model="pair@1",
        sources={"picture": [TensorSource(tensor(6, 6, 1))], "words": [TensorSource(np.ones(4, np.int32))]},
        layers=["both"],
        timeout=2.5,
    ),
    "attributions": query(
        "plain",
        [],
        tensor(12, 12, 3),
        methods={name: method.options() for name, method in METHODS.items()},
    ),
    "a refused attribution": query(
        "plain", ["conv1"], tensor(12, 12, 3), methods={"gradcam": METHODS["gradcam"].options(layer="flat")}
    ),
    "too much": query("plain", ["conv0", "all"], tensor(64, 12, 12, 3)),
    "free size": query("free", ["conv", "pool"], png(9, 6)),
}


def pickled(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


@pytest.fixture(scope="module")
def engine(start_engine):
    return start_engine(run_bytes=1_000_000)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_and_its_plan_go_through_pickle_and_come_back_equal(engine, name):
    request = QUERIES[name]
    assert pickled(request) == request
    plan = engine.plan(request)
    assert pickled(plan) == plan
    assert engine.plan(pickled(request)) == plan
    assert (plan.refusal is not None) == (name == "too much")
    assert set(plan.refused_methods) == ({"gradcam"} if name == "a refused attribution" else set())
    assert set(plan.maps) | set(plan.refused_methods) == set(request.methods)


@pytest.mark.parametrize("name", ["images", "attributions", "a refused attribution"])
def test_a_result_goes_through_pickle_with_all_its_values(engine, name):
    result = engine.run(QUERIES[name])
    again = pickled(result)
    assert again.model == result.model
    assert again.refused_methods == result.refused_methods
    assert list(again.activations) == list(result.activations)
    for address, activation in result.activations.items():
        assert again.activations[address].spec == activation.spec
        np.testing.assert_array_equal(again.activations[address].values, activation.values)
    assert again.activations.timings == result.activations.timings
    assert list(again.attributions) == list(result.attributions)
    for method, found in result.attributions.items():
        copy = again.attributions[method]
        assert (copy.method, copy.options, copy.target_layer) == (
            found.method,
            found.options,
            found.target_layer,
        )
        assert [each.key for each in copy.targets] == [each.key for each in found.targets]
        np.testing.assert_array_equal(copy.maps, found.maps)


def test_a_description_goes_through_pickle_and_comes_back_equal(engine):
    for record in engine.catalogue():
        assert pickled(record) == record
        assert pickled(record.description).taps.select(["all"]) == record.description.taps.select(["all"])
    first, second, _ = (record.description for record in engine.catalogue())
    assert first != second
    assert replace(first, digest="another") != first


def test_equal_taps_find_each_other_in_a_dictionary(engine):
    taps = engine.describe("plain").taps.select(["all"])
    numbers = {tap: number for number, tap in enumerate(taps)}
    assert [numbers[tap] for tap in pickled(taps)] == list(range(len(taps)))
    assert not set(taps) & set(engine.describe("free").taps.select(["conv"]))


def test_tensors_are_equal_bit_by_bit():
    source = TensorSource(ODD)
    assert pickled(source) == source
    assert hash(pickled(source)) == hash(source)
    assert TensorSource(np.asfortranarray(ODD)) == source
    for other in (
        TensorSource(ODD.astype(np.float64)),
        TensorSource(ODD[0]),
        TensorSource(np.abs(ODD)),
        TensorSource(ODD, preprocess=True),
        ImageSource(b""),
    ):
        assert other != source


def plan_and_run_elsewhere(channel, plan):
    """In another process: take the query, and send it back with what is known of it here."""
    request = channel.recv()
    channel.send((request, plan, [layer.spec for layer in plan.layers], request.sources["image"]))


def test_a_query_and_its_plan_go_to_another_process_and_back(engine):
    request = query("plain", ["conv1"], png(12, 12), ODD.repeat(3, axis=-1))
    request = replace(request, methods={"gradcam": METHODS["gradcam"].options(target="1")})
    plan = engine.plan(QUERIES["images"])
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=plan_and_run_elsewhere, args=(theirs, plan))
    child.start()
    ours.send(request)
    assert ours.poll(120)
    assert ours.recv() == (request, plan, list(plan.specs), request.sources["image"])
    child.join(60)
    assert child.exitcode == 0


def test_a_token_is_cancelled_once_and_for_all():
    token = CancellationToken()
    assert not token.is_cancelled
    token.cancel()
    token.cancel()
    assert token.is_cancelled


def test_timings_are_durations_from_the_beginning_of_the_query(start_engine):
    result = start_engine("plain").run(query("plain", ["conv2"], png(40, 40)))
    timings = result.activations.timings
    assert [timing.stage for timing in timings] == ["decode", "queue", "run"]
    ends = 0.0
    for timing in timings:
        assert 0 <= ends <= timing.offset + 1e-6
        assert timing.seconds >= 0
        ends = timing.offset + timing.seconds


def test_the_plan_holds_until_the_run_though_the_model_is_unloaded_in_between(start_engine):
    engine = start_engine("plain")
    with engine.prepare(query("plain", ["conv2"], tensor(12, 12, 3))) as prepared:
        engine.models.registry.unload("plain")
        with prepared.run() as result:
            assert result.model == prepared.plan.model
            assert result.activations["conv2"].spec == prepared.plan.layers[0].spec
