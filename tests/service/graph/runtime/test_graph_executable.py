"""The executable: where weights live, how many plans are kept, what is given back, and free input sizes."""

import gc
import weakref

import keras
import numpy as np
import pytest
from graph_models import assert_close, noise, prepared, traced
from keras import layers, ops
from tensorflow.python.client.session import BaseSession

from layerscope.errors import InputMismatch
from layerscope.graph.runtime.executable import Executable
from layerscope.graph.tracing.signature import signature_of
from layerscope.graph.tracing.trace import trace

SIZES = [(8, 8), (9, 14), (16, 10)]


def small_model(units=3):
    start = keras.Input((4,), name="start")
    return keras.Model(start, layers.Dense(units, name="dense")(start))


def kept_plans():
    gc.collect()
    return sum(isinstance(each, BaseSession._Callable) for each in gc.get_objects())


def test_weights_are_variables_and_not_in_the_graph():
    start = keras.Input((300,), name="start")
    made = traced(keras.Model(start, layers.Dense(1000, name="dense")(start)))
    assert made.executable.plans.weight_bytes == 4 * (300 * 1000 + 1000)
    assert len(made.prepared.graph) < 20_000


def test_what_keras_made_is_dropped():
    model = small_model()
    kernel = weakref.ref(model.get_layer("dense").kernel)
    made = trace(model, signature_of(model))
    source = weakref.ref(made.captures[0][1])
    executable = Executable(prepared(made), plan_bytes=2**28)
    tap = made.calls[-1].taps[0]
    before = executable.run([noise(2, 4)], [tap])[0]
    del model, made
    gc.collect()
    assert kernel() is None
    assert source() is None
    np.testing.assert_array_equal(executable.run([noise(2, 4)], [tap])[0], before)


def test_two_executables_have_weights_of_their_own():
    first, second = traced(small_model()), traced(small_model())
    values = noise(2, 4)
    assert not np.allclose(first.model(values), second.model(values))
    for made in (first, second):
        assert_close(made.value("dense", on=[values]), made.model(values))


def test_no_more_plans_are_kept_than_there_is_room_for_and_dropped_ones_compile_again():
    values = noise(2, 4)
    one = traced(small_model())
    one.value("start", on=[values])
    made, before = traced(small_model(), plan_bytes=3 * one.executable.plans.nbytes), kept_plans()
    addresses = ["start", "dense", "dense@input"]
    first = [made.value(address, on=[values]) for address in addresses]
    assert kept_plans() < before + 3
    assert 0 < made.executable.plans.nbytes <= 3 * one.executable.plans.nbytes
    second = [made.value(address, on=[values]) for address in addresses]
    for each, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(each, other)


def test_a_plan_that_has_no_room_is_used_and_not_kept():
    made, before = traced(small_model(), plan_bytes=1), kept_plans()
    values = noise(2, 4)
    assert_close(made.value("dense", on=[values]), made.model(values))
    assert kept_plans() == before
    assert made.executable.plans.nbytes == 0


def test_closing_gives_the_plans_back():
    before = kept_plans()
    made = traced(small_model())
    made.value("dense", on=[noise(1, 4)])
    assert kept_plans() == before + 1
    made.executable.close()
    assert kept_plans() == before


@pytest.fixture(scope="module")
def free_size():
    start = keras.Input((None, None, 3), name="start")
    hidden = layers.Conv2D(4, 3, strides=2, activation="relu", name="conv")(start)
    hidden = layers.UpSampling2D(2, name="up")(hidden)
    wide = layers.Reshape((-1, 4), name="pixels")(hidden)
    steps = layers.GRU(2, return_sequences=True, name="gru")(wide)
    pooled = layers.GlobalAveragePooling2D(name="pool")(hidden)
    return traced(keras.Model(start, [pooled, steps]))


@pytest.mark.parametrize("size", SIZES)
def test_shapes_of_a_model_of_free_size_are_exact(free_size, size):
    taps = free_size.taps("all", "all@input")
    arrays = free_size.executable.run([noise(2, *size, 3)], taps)
    assert free_size.executable.inspection.shapes(taps, [(*size, 3)]) == [array.shape[1:] for array in arrays]


def test_a_new_size_is_no_new_trace(free_size):
    free_size.value("pool", on=[noise(1, 7, 7, 3)])
    plans = kept_plans()
    for size in SIZES:
        free_size.value("pool", on=[noise(1, *size, 3)])
    assert kept_plans() == plans


def test_values_of_a_model_of_free_size(free_size):
    for size in SIZES:
        values = noise(2, *size, 3)
        assert_close(free_size.value("pool", on=[values]), free_size.model(values)[0])


def decoder(strategy):
    """A decoder of sequences whose lengths are an input, which must be those of sequences that there are."""
    scores, lengths = keras.Input((10, 5), name="scores"), keras.Input((), dtype="int32", name="lengths")
    return keras.Model([scores, lengths], ops.ctc_decode(scores, lengths, strategy=strategy)[1])


def pooled():
    start = keras.Input((None, None, 3), name="start")
    return keras.Model(
        start, layers.GlobalAveragePooling2D(name="mean")(layers.MaxPooling2D(name="half")(start))
    )


def looked_up():
    start = keras.Input((4,), dtype="int32", name="start")
    return keras.Model(start, layers.Embedding(5, 2, name="table")(start))


@pytest.mark.parametrize(
    ("model", "arrays"),
    [
        (decoder("greedy"), [noise(1, 10, 5), np.full((1,), 99, np.int32)]),
        (decoder("beam_search"), [noise(1, 10, 5), np.full((1,), 99, np.int32)]),
        (pooled(), [noise(1, 1, 1, 3)]),
        (looked_up(), [np.full((1, 4), 9, np.int32)]),
    ],
    ids=["greedy", "beam search", "pool", "embedding"],
)
def test_inputs_that_a_kernel_refuses_are_refused_as_ours(model, arrays):
    made = traced(model)
    with pytest.raises(InputMismatch, match="a layer does not take such sizes or values"):
        made.executable.run(arrays, made.taps("outputs"))


def cropped():
    start = keras.Input((None, None, 3), name="start")
    hidden = layers.Cropping2D(2, name="crop")(start)
    return keras.Model(start, layers.GlobalAveragePooling2D(name="mean")(hidden))


@pytest.mark.parametrize(
    ("model", "side", "words"),
    [
        (pooled(), 1, "cannot run on inputs of shape"),
        (cropped(), 4, "leave crop no values to compute: send larger ones"),
    ],
)
def test_inputs_that_leave_a_layer_without_values_are_refused(model, side, words):
    made = traced(model)
    with pytest.raises(InputMismatch, match=words):
        made.executable.inspection.shapes(made.taps("outputs"), [(side, side, 3)])
    assert made.executable.inspection.shapes(made.taps("outputs"), [(side + 1, side + 1, 3)]) == [(3,)]
