"""Where gradients flow, by the graph alone: as TensorFlow finds when it differentiates."""

import kinds_of_models
import pytest
import tensorflow as tf
from graph_models import traced

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
