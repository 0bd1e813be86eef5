"""What is known before a run: the shape of every tap, and how much memory the run takes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import noise, residual_model, traced
from keras import layers
from tensorflow.core.protobuf import config_pb2
from unforeseen_sizes import EveryStep

from layerscope.graph.analysis.cost_model import CostModel
from layerscope.graph.analysis.shapes import TapShapes
from layerscope.graph.analysis.subgraph import GraphParts
from layerscope.graph.prepared.weights import Weights
from layerscope.graph.runtime.inspection import GraphInspection
from layerscope.models.architectures import architectures


class Patches(layers.Layer):
    """Computes on each row of an image by itself: rows are folded into the batch axis, and unfolded again."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inside = layers.Dense(5, name="inside")

    def call(self, inputs):
        size, rows = tf.shape(inputs)[0], tf.shape(inputs)[1]
        return tf.reshape(self.inside(tf.reshape(inputs, [-1, 3])), [size, rows, 5])


def patches(rows):
    start = keras.Input((rows, 3), name="start")
    return traced(keras.Model(start, layers.GlobalMaxPooling1D()(Patches(name="patches")(start))))


@pytest.mark.parametrize("rows", [4, None])
def test_rows_that_are_folded_into_the_batch_axis_are_counted_before_the_run(rows):
    made = patches(rows)
    taps = made.taps("all")
    for batch in (1, 3):
        arrays = made.executable.run([noise(batch, 4, 3)], taps)
        assert made.executable.inspection.shapes(taps, [(4, 3)]) == [array.shape[1:] for array in arrays]
    assert made.executable.inspection.shapes(made.taps("patches/inside"), [(4, 3)]) == [(4, 5)]


@pytest.fixture(scope="module")
def any_steps():
    steps = keras.Input((None, 3), name="steps")
    every = EveryStep(name="every")(steps)
    return traced(keras.Model(steps, layers.Dense(2, name="head")(every)))


def test_a_size_that_only_a_run_can_tell_is_measured_once(any_steps):
    taps, runs = any_steps.taps("head"), []

    def counted(inputs, taps):
        runs.append(inputs)
        return any_steps.executable.run(inputs, taps)

    prepared = any_steps.prepared
    shapes = TapShapes(prepared, sizes=4)
    costs = CostModel(prepared.metadata.calls, shapes)
    inspection = GraphInspection(prepared, GraphParts(prepared.graph), shapes, costs, counted)
    assert inspection.inferred_shapes(taps, [(7, 3)]) == [(None, 2)]
    assert not runs
    assert [inspection.shapes(taps, [(7, 3)]) for _ in range(3)] == [[(7, 2)]] * 3
    assert len(runs) == 1
    assert inspection.inferred_shapes(taps, [(7, 3)]) == [(7, 2)]
    assert inspection.shapes(taps, [(4, 3)]) == [(4, 2)]


def chain():
    """The fullest moment is in the middle, between the two wide layers."""
    start = keras.Input((32, 32, 3), name="start")
    hidden = layers.Conv2D(4, 3, padding="same", name="narrow")(start)
    hidden = layers.Conv2D(24, 3, padding="same", name="wide")(hidden)
    hidden = layers.Conv2D(16, 3, padding="same", name="wider")(hidden)
    hidden = layers.Conv2D(8, 3, padding="same", activation="relu", name="active")(hidden)
    return keras.Model(start, layers.GlobalAveragePooling2D(name="pool")(hidden))


PIXELS = 32 * 32 * 4


@pytest.mark.parametrize(
    ("wanted", "channels"),
    [
        (["start"], 3),
        (["narrow"], 3 + 4),
        (["wide"], 4 + 24),
        (["pool"], 24 + 16),
        (["narrow", "pool"], 4 + 24 + 16),
        (["wide", "wider"], 24 + 16),
        (["wider@input"], 4 + 24),
        (["active@preactivation"], 24 + 16),
    ],
)
def test_a_value_lives_from_its_call_to_its_last_reader(wanted, channels):
    made = traced(chain())
    assert made.executable.inspection.peak_bytes(made.taps(*wanted), [(32, 32, 3)]) == channels * PIXELS


def test_a_shortcut_keeps_its_value_alive_and_what_is_not_needed_is_not_computed():
    made = traced(residual_model())
    value = 6 * 6 * 4 * 4
    assert made.executable.inspection.peak_bytes(made.taps("branch"), [(6, 6, 4)]) == 2 * value
    # The sum is written over one of its inputs.
    assert made.executable.inspection.peak_bytes(made.taps("add"), [(6, 6, 4)]) == 2 * value
    assert made.executable.inspection.peak_bytes(made.taps("add", "branch"), [(6, 6, 4)]) == 2 * value
    assert made.executable.inspection.peak_bytes(made.taps("add", "branch", "stem"), [(6, 6, 4)]) == 3 * value
    assert made.executable.inspection.peak_bytes(made.taps("stem"), [(6, 6, 4)]) == 2 * value


def nested():
    start = keras.Input((32, 32, 8))
    inner = layers.Conv2D(16, 3, padding="same", name="conv")(start)
    block = keras.Model(start, layers.BatchNormalization(name="norm")(inner), name="block")
    images = keras.Input((32, 32, 8), name="images")
    once = block(images)
    total = layers.Add(name="add")([once, layers.Conv2D(16, 1, name="again")(once)])
    return keras.Model(images, layers.GlobalAveragePooling2D(name="pool")(total))


def test_a_layer_made_of_others_takes_nothing_besides_them():
    made = traced(nested())
    assert made.executable.inspection.peak_bytes(made.taps("block"), [(32, 32, 8)]) == (8 + 16) * PIXELS
    assert made.executable.inspection.peak_bytes(made.taps("pool"), [(32, 32, 8)]) == (16 + 16) * PIXELS


def branches():
    images = keras.Input((48, 48, 3), name="images")
    stem = layers.Conv2D(16, 3, padding="same", activation="relu", name="stem")(images)
    arms = [
        layers.BatchNormalization(name=f"norm{number}")(
            layers.Conv2D(8 * number, 3, padding="same", name=f"arm{number}")(stem)
        )
        for number in (1, 2, 3)
    ]
    joined = layers.Concatenate(name="joined")(arms)
    return keras.Model(
        images, layers.GlobalMaxPooling2D(name="pool")(layers.MaxPooling2D(name="half")(joined))
    )


def attention():
    tokens = keras.Input((None, 16), name="tokens")
    mixed = layers.MultiHeadAttention(2, 8, name="attention")(tokens, tokens)
    return keras.Model(tokens, layers.GlobalAveragePooling1D(name="pool")(mixed))


def separable():
    images = keras.Input((32, 32, 3), name="images")
    hidden = layers.SeparableConv2D(4, 3, depth_multiplier=200, name="separable")(images)
    return keras.Model(images, layers.GlobalAveragePooling2D(name="pool")(hidden))


def recurrent():
    steps = keras.Input((None, 3), name="steps")
    every = layers.Bidirectional(layers.LSTM(30, return_sequences=True), name="both")(steps)
    return keras.Model(steps, layers.Dense(50, name="head")(every))


@pytest.mark.parametrize(
    ("build", "size", "within"),
    [
        (attention, (700, 16), 2 * 700 * 700 * 4),
        (separable, (32, 32, 3), 30 * 30 * 600 * 4),
        (recurrent, (400, 3), 0),
    ],
)
def test_what_a_layer_makes_on_its_way_counts(build, size, within):
    made = traced(build())
    taps = made.taps("outputs")
    estimated = made.executable.inspection.peak_bytes(taps, [size])
    assert estimated >= within
    assert 0.8 <= estimated / most_allocated(made, taps, noise(1, *size)) <= 1.6


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("MobileNetV3Small", 96),
        *(
            pytest.param(*each, marks=pytest.mark.soak)
            for each in [
                ("ConvNeXtTiny", 64),
                ("DenseNet121", 96),
                ("EfficientNetB0", 96),
                ("InceptionV3", 96),
                ("MobileNetV2", 96),
                ("NASNetMobile", 96),
                ("ResNet50", 96),
                ("VGG16", 64),
                ("Xception", 96),
            ]
        ),
    ],
)
def test_the_estimate_of_whole_networks_is_near_what_tensorflow_allocates(name, side):
    made = traced(architectures()[name](weights=None, input_shape=(side, side, 3), classes=7))
    taps = made.taps("outputs")
    estimated = made.executable.inspection.peak_bytes(taps, [(side, side, 3)])
    # Less, because kernels of oneDNN take memory of their own that is in no tensor.
    assert 0.5 <= estimated / most_allocated(made, taps, noise(1, side, side, 3)) <= 2.0


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (chain, ["pool"]),
        (chain, ["all"]),
        (nested, ["pool"]),
        (branches, ["pool"]),
        (branches, ["stem", "joined"]),
        (branches, ["all"]),
    ],
)
def test_the_estimate_is_near_what_tensorflow_allocates(build, wanted):
    made = traced(build())
    taps, size = made.taps(*wanted), made.trace.inputs[0].shape
    values = noise(8, *size)
    allocated = most_allocated(made, taps, values) + values.nbytes
    estimated = 8 * made.executable.inspection.peak_bytes(taps, [size])
    # The input counts until its last reader has run, but TensorFlow keeps what is fed.
    assert 0.9 * (allocated - values.nbytes) <= estimated <= 1.6 * allocated


def most_allocated(made, taps, values):
    """The most bytes that TensorFlow's allocator says were there at once."""
    options = config_pb2.RunOptions(trace_level=config_pb2.RunOptions.FULL_TRACE)
    metadata = config_pb2.RunMetadata()
    weights = Weights(made.prepared)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(made.prepared.graph), name="")
        fetches = [tf.identity(graph.get_tensor_by_name(tap.tensor.name)) for tap in taps]
        assignments = weights.assignments_in(graph)
    with tf.compat.v1.Session(graph=graph) as session:
        weights.assign(session, assignments)
        feeds = {made.trace.placeholders[0]: values}
        session.run(fetches, feeds, options=options, run_metadata=metadata)
    records = [
        (record.alloc_micros, record.alloc_bytes)
        for device in metadata.step_stats.dev_stats
        for node in device.node_stats
        for memory in node.memory
        for record in memory.allocation_records
    ]
    assert records
    return int(np.cumsum([size for _, size in sorted(records)]).max())
