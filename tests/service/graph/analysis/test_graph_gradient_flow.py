"""Where gradients flow, by the graph alone: as TensorFlow finds when it differentiates."""

import keras
import kinds_of_models
import numpy as np
import pytest
import tensorflow as tf
from graph_models import assert_close, noise, traced
from keras import layers

from layerscope.graph.analysis.gradient_flow import GradientFlow
from layerscope.graph.analysis.subgraph import GraphParts


def differentiates(graph, target, source):
    with graph.as_default():
        try:
            (gradient,) = tf.gradients(graph.get_tensor_by_name(target), [graph.get_tensor_by_name(source)])
        except LookupError:
            return False
    return gradient is not None


@pytest.mark.parametrize(
    "kind",
    ["recurrence_over_images", "models_in_models", "integers", "plain_operations"],
)
def test_it_flows_where_tensorflow_can_differentiate(kind):
    model, _ = getattr(kinds_of_models, kind)()
    made = traced(model)
    parts = GraphParts(made.prepared.graph)
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(made.prepared.graph), name="")
    outputs = {tap.tensor.name for _, tap in made.trace.outputs if tap.dtype.kind == "f"}
    sources = {tap.tensor.name for tap in made.taps("all", "all@input") if tap.dtype.kind == "f"}
    for target in outputs:
        flow = GradientFlow(parts.nodes, parts.functions, target)
        found = {source for source in sources if flow.obstacle(source) is None}
        assert found == {source for source in sources if differentiates(graph, target, source)}


@pytest.mark.parametrize("kind", [layers.Conv1D, layers.Conv2D, layers.Conv3D])
def test_grouped_convolutions_that_keras_compiles(kind):
    """Their values are those of Keras; their gradients too, where TensorFlow has one for the axes."""
    rank = kind.__name__[4]
    start = keras.Input((6,) * int(rank) + (4,), name="start")
    hidden = layers.Activation("tanh", name="before")(start)
    hidden = layers.ReLU()(layers.BatchNormalization()(kind(8, 3, groups=2, name="groups")(hidden)))
    model = keras.Model(start, layers.Dense(2, name="end")(layers.Flatten()(hidden)))
    made, values = traced(model), noise(2, *start.shape[1:])
    assert_close(made.value("end", on=[values]), model(values))
    end, before = made.index["end"], made.index["before"]
    obstacle = made.executable.inspection.gradient_obstacle(end, before)
    if kind is layers.Conv3D:
        assert "no gradient for Conv3D in a compiled function" in obstacle
        return
    assert obstacle is None
    with tf.GradientTape() as tape:
        hidden = tf.constant(np.tanh(values))
        tape.watch(hidden)
        score = hidden
        for layer in model.layers[2:]:
            score = layer(score)
        score = score[:, 1]
    assert_close(made.gradient([values], end, before, 1), tape.gradient(score, hidden))
