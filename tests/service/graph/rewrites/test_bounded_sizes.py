"""Values whose size is a number in the input are bounded where they appear, before they are allocated."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import traced
from keras import layers, ops

from layerscope.errors import AnswerTooLarge, InputMismatch
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.graph.runtime.executable import Executable
from layerscope.limits import Limits

MOST = 4_000


class Made(layers.Layer):
    """Makes a value of the numbers of one image."""

    def __init__(self, make, **options):
        super().__init__(**options)
        self.make = make

    def call(self, values):
        return ops.expand_dims(ops.cast(ops.reshape(self.make(values[0]), (-1,)), "float32"), 0)

    def compute_output_shape(self, shape):
        return (shape[0], None)


def repeated(values):
    """A value that is made inside of a loop."""

    def step(number, size):
        return number + 1, tf.reduce_sum(tf.ones_like(tf.range(values[0]))) + 0 * size

    return tf.while_loop(lambda number, _: number < 2, step, (tf.constant(0), tf.constant(0)))[1]


MAKERS = {
    "bins": lambda v: tf.raw_ops.Bincount(arr=v, size=v[0], weights=tf.constant([], tf.int32)),
    "dense bins": lambda v: tf.raw_ops.DenseBincount(input=v, size=v[0], weights=tf.constant([], tf.int32)),
    "range": lambda v: tf.range(v[0]),
    "steps": lambda v: tf.range(0.0, 1.0, 1 / tf.cast(v[0], tf.float32)),
    "fill": lambda v: tf.fill([v[0], 1], 1),
    "tile": lambda v: tf.tile(v[:1], [v[0]]),
    "pad": lambda v: tf.pad(v[:1], [[0, v[0] - 1]]),
    "one hot": lambda v: tf.one_hot(v[:1], v[0]),
    "segments": lambda v: tf.math.unsorted_segment_sum(v, tf.zeros_like(v), v[0]),
    "sorted segments": lambda v: tf.math.segment_sum(v, tf.concat([[0, 0], v[:1] - 1], 0)),
    "broadcast": lambda v: tf.broadcast_to(v[:1], [v[0], 1]),
    "repeat": lambda v: tf.repeat(v[:1], v[:1]),
    "linspace": lambda v: tf.raw_ops.LinSpace(start=0.0, stop=1.0, num=v[0]),
    "stitch": lambda v: tf.dynamic_stitch([v[:1] - 1], [v[:1]]),
    "resized": lambda v: tf.image.resize(tf.ones([1, 1, 1, 1]), tf.stack([v[0], 1])),
    "in a loop": repeated,
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_value_is_no_larger_than_it_may_be(name):
    start = keras.Input((3,), dtype="int32", name="numbers")
    made = traced(keras.Model(start, Made(MAKERS[name], name="made")(start)))
    executable = Executable(made.prepared, plan_bytes=2**24, data_sized_bytes=MOST)
    taps = made.taps("made")

    def run(count):
        (found,) = executable.run([np.array([[count, 1, 0]], np.int32)], taps)
        return found

    assert run(900).size == (1 if name == "in a loop" else 900)
    for count in (1_100, 2**31 - 1):
        with pytest.raises(AnswerTooLarge, match="more than 4,000 bytes inside of the model"):
            run(count)
    assert executable.inspection.peak_bytes(taps, [(3,)]) >= (0 if name == "in a loop" else MOST)


@pytest.fixture(scope="module")
def bins(tmp_path_factory):
    """An engine with a model of an operator that has a bin for each number."""
    directory = tmp_path_factory.mktemp("bins")
    start = keras.Input((3,), dtype="int32", name="numbers")
    keras.Model(start, ops.bincount(start)).save(directory / "bins.keras")
    engine = LocalEngine(directory, Limits(data_sized_bytes=MOST))
    engine.load_all()
    yield engine
    engine.close()


def numbers(*rows):
    return Query(
        model="bins", layers=["outputs"], sources={"numbers": [TensorSource(np.array(rows, np.int32))]}
    )


def test_a_plan_has_the_sizes_of_its_own_images(bins):
    for count in (1, 7, 3, 900):
        with bins.prepare(numbers([count, 1, 1], [0, count, 1])) as prepared:
            (spec,) = prepared.plan.specs
            assert spec.shape == (2, count + 1)
            computation = prepared.plan.computation
            assert computation.fetched + computation.intermediate >= MOST
            with prepared.run() as result:
                (found,) = result.activations.values()
        assert found.values.shape == spec.shape
        assert found.values[1, [0, count]].tolist() == [1, 2 if count == 1 else 1]


def test_a_number_that_asks_for_more_than_a_value_may_have_is_refused_and_nothing_is_kept(bins):
    for count in (2_000, 200_000_000, 2**31 - 2):
        with pytest.raises(AnswerTooLarge, match="more than 4,000 bytes"):
            bins.run(numbers([count, 1, 1]))
    assert bins.memory.taken == 0
    with pytest.raises(InputMismatch, match="send them one by one"):
        bins.run(numbers([5, 1, 1], [9, 1, 1]))
    assert bins.run(numbers([5, 1, 1])).activations
