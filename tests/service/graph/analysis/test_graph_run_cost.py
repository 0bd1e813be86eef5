"""What a run costs, known before it: about how many multiplications, and how often operations start in loops."""

import keras
import keras_layers
import kinds_of_models
import pytest
import tensorflow as tf
from graph_models import traced
from keras import layers, ops
from unforeseen_sizes import EveryStep

pytestmark = pytest.mark.wide


def cost(model, *shapes):
    made = traced(model)
    return made.executable.inspection.cost([tap for _, tap in made.trace.outputs], shapes)


def over_time(*recurrent, features=3):
    start = hidden = keras.Input((None, features), name="steps")
    for layer in recurrent:
        hidden = layer(hidden)
    return keras.Model(start, hidden)


def attention():
    start = keras.Input((None, 16))
    return keras.Model(start, layers.MultiHeadAttention(2, 8)(start, start))


@pytest.mark.parametrize(
    ("model", "shape", "multiplications"),
    [
        (lambda: keras.applications.VGG16(weights=None), (224, 224, 3), 15.5e9),
        (lambda: keras.applications.MobileNetV2(weights=None), (224, 224, 3), 0.3e9),
        # The scores of all pairs of tokens, and what is made of them: two heads of eight numbers.
        (attention, (40_000, 16), 2 * 2 * 8 * 40_000**2),
        (lambda: over_time(layers.LSTM(512), features=64), (1_000, 64), 1_000 * 4 * 512 * (512 + 64)),
        (lambda: over_time(layers.Conv1D(64, 5), features=64), (9_000, 64), 9_000 * 5 * 64 * 64),
        (lambda: over_time(layers.EinsumDense("btc,cd->btd", (None, 99))), (9_000, 3), 9_000 * 3 * 99),
    ],
    ids=["vgg16", "mobilenetv2", "attention", "lstm", "conv1d", "einsum"],
)
def test_all_multiplications_are_counted_and_not_many_more(model, shape, multiplications):
    estimate = cost(model(), shape).multiplications
    assert multiplications <= estimate < 20 * multiplications


class Scan(layers.Layer):
    def call(self, steps):
        return ops.transpose(
            ops.map(lambda row: ops.tanh(row) * 2, ops.transpose(steps, (1, 0, 2))), (1, 0, 2)
        )


class CountedUpTo(layers.Layer):
    """A loop of as many steps as there are in the input, and one of three steps in each of its own."""

    def call(self, steps):
        def inner(row):
            return tf.while_loop(lambda n, _: n < 3, lambda n, x: (n + 1, tf.tanh(x)), (0, row))[1]

        return tf.while_loop(
            lambda n, _: n <= tf.shape(steps)[1] - 1, lambda n, x: (n + 1, inner(x)), (0, steps[:, 0])
        )[1]


@pytest.mark.parametrize(
    "recurrent",
    [
        [layers.SimpleRNN(2)],
        [layers.Masking(), layers.GRU(2, return_sequences=True), layers.LSTM(2)],
        [layers.Bidirectional(layers.LSTM(2, return_sequences=True)), layers.Dense(3), layers.GRU(3)],
        [
            layers.Conv1D(3, 3, padding="same"),
            layers.RNN(layers.StackedRNNCells([layers.GRUCell(2), layers.LSTMCell(3)])),
        ],
        [layers.Reshape((-1, 1, 3)), layers.ConvLSTM1D(2, 1)],
        [Scan()],
        [CountedUpTo()],
    ],
    ids=["simple", "stacked", "bidirectional", "behind a convolution", "film", "map", "while"],
)
def test_operations_in_loops_over_time_start_once_for_each_step(recurrent):
    made = traced(over_time(*recurrent))
    inspection, taps = made.executable.inspection, [tap for _, tap in made.trace.outputs]
    starts = [inspection.cost(taps, [(steps, 3)]).starts for steps in (1_000, 2_000, 3_000)]
    assert starts[2] - starts[1] == starts[1] - starts[0] >= 10 * 1_000


class UntilSmall(layers.Layer):
    """As many steps as it takes: nothing but the values tells how many."""

    def call(self, steps):
        return tf.while_loop(lambda x: tf.reduce_max(x) > 1e-3, lambda x: [x / 2], [steps])[0]


class Lengthened(layers.Layer):
    """Each step has longer values than the one before."""

    def call(self, steps):
        def longer(n, x):
            return n + 1, tf.concat([x, x], 1)

        shapes = tf.TensorShape([]), tf.TensorShape([None, None, 3])
        return tf.while_loop(lambda n, _: n < 8, longer, (0, steps), shape_invariants=shapes)[1]


@pytest.mark.parametrize("layer", [UntilSmall(), EveryStep(), Lengthened()], ids=lambda each: each.name)
def test_what_only_a_run_can_tell_is_not_estimated_and_what_comes_before_it_is(layer):
    made = traced(over_time(layers.Dense(3, name="before"), layer))
    inspection = made.executable.inspection
    assert inspection.cost([tap for _, tap in made.trace.outputs], [(5, 3)]) is None
    assert inspection.cost(made.taps("before"), [(5, 3)]).multiplications > 5 * 3 * 3


@pytest.mark.parametrize("kind", kinds_of_models.KINDS)
def test_every_kind_of_model_has_an_estimate(kind):
    model, inputs = kind()
    shapes = [array.shape[1:] for array in keras.tree.flatten(inputs)]
    assert cost(model, *shapes).seconds > 0


@pytest.mark.parametrize("of", [of for of in keras_layers.BRANCHES if of is not keras_layers.of_integers])
def test_every_layer_has_an_estimate(of):
    shape, dtype = keras_layers.BRANCHES[of]
    start = keras.Input(shape, dtype=dtype, name="start")
    assert cost(keras.Model(start, [branch(start) for branch in of()]), shape).seconds > 0
