"""Compilation of plans: a part of the graph, rewritten, in a TensorFlow session.

Each plan has its own session. TensorFlow blocks all runs of a session while it compiles for it, so in a shared session
every request would wait for a new plan; and the memory of a plan is freed with its session. The weights are in none of
them: all sessions compute from the memory that the weights are prepared in.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.framework.ops import dismantle_graph

from layerscope.graph.analysis.subgraph import GraphParts
from layerscope.graph.edits.insertion import edited_names, insert_edits, placeholders_of
from layerscope.graph.prepared.weights import Weights
from layerscope.graph.rewrites import Rewrite, RewriteContext
from layerscope.graph.rewrites.custom_gradients import captured
from layerscope.graph.rewrites.fold_kernels import arranged_bytes
from layerscope.graph.rewrites.guided_relu import guide
from layerscope.graph.rewrites.no_sum_fusion import biased_before_sums, session_configuration
from layerscope.graph.runtime.plans import GradientKey, Plan, PlanKey
from layerscope.graph.taps.tap import Tap

BYTES_PER_NODE = 9_000
"""Memory of one node of a compiled graph; measured over whole networks, see `benchmarks/memory.py`."""


@dataclass(frozen=True)
class PlanCompiler:
    """Compiles plans of one model.

    Attributes:
        parts: the graph.
        weights: of its variables.
        taps: of the graph, by the name of their tensor.
    """

    parts: GraphParts
    weights: Weights
    taps: Mapping[str, Tap]

    def compile(self, key: PlanKey, rewrites: Sequence[Rewrite], *, optimize: bool = True) -> Plan:
        """Compile a plan. It takes 0.05 to 0.5 s.

        Args:
            key: what the plan computes.
            rewrites: applied in this order, unless the plan computes a gradient or replaces values of the graph: for
                those, every tensor must be there as the model has it.
            optimize: whether TensorFlow's own graph optimizer runs too, which is more than half of the time.

        Raises:
            LookupError, ValueError, TypeError: there is no such gradient.
        """
        definition = self._rewritten(key, rewrites)
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(definition, name="")
            fed = [*key.fed, *placeholders_of(key.edited)]
            readers_get = edited_names(key.edited)
            fetched = [_exit(graph, readers_get.get(name, name)) for name in key.fetched]
            if key.gradient is not None:
                weight, gradient = _gradient(graph, key.gradient, readers_get)
                fed.append(weight)
                fetched.append(gradient)
            assignments = self.weights.assignments_in(graph)
        configuration = session_configuration(definition)
        configuration.graph_options.rewrite_options.disable_meta_optimizer = not optimize
        session = tf.compat.v1.Session(graph=graph, config=configuration)
        self.weights.assign(session, assignments)
        options = config_pb2.CallableOptions(feed=fed, fetch=fetched, target=biased_before_sums(graph))
        # The public make_callable keeps what it compiled for as long as the session lives.
        call = session._make_callable_from_options(options)  # noqa: SLF001
        nbytes = len(graph.get_operations()) * BYTES_PER_NODE + arranged_bytes(definition, self.weights)
        # A graph is full of reference cycles and would wait for the garbage collector; the session has its own copy.
        dismantle_graph(graph)
        return Plan(key, nbytes, call)

    def rewritten_nodes(self, key: PlanKey, rewrites: Sequence[Rewrite]) -> Collection[str]:
        """The names of the nodes of a plan that rewrites change or add."""
        plain = {node.name: node for node in self._part(key).node}
        return [node.name for node in self._rewritten(key, rewrites).node if node != plain.get(node.name)]

    def _rewritten(self, key: PlanKey, rewrites: Sequence[Rewrite]) -> Any:
        definition = self._part(key)
        insert_edits(definition, {name: self.taps[name].tensor.dtype for name in key.edited})
        if key.gradient is None and (key.is_cut or self.parts.are_placeholders(key.fed)):
            shapes = {name: tap.shape for name, tap in self.taps.items()}
            fetched = (*key.fetched, *key.edited, *edited_names(key.edited).values())
            context = RewriteContext(fetched, shapes, self.weights)
            for rewrite in rewrites:
                definition = rewrite(definition, context)
        if key.gradient is not None and key.gradient.guided:
            guide(definition)
        return definition

    def _part(self, key: PlanKey) -> Any:
        """The GraphDef of all that a plan needs, as the model has it."""
        if key.is_cut:
            return self.parts.between({name: self.taps[name].tensor.dtype for name in key.fed}, key.fetched)
        tensors = [*key.fed, *key.fetched]
        if key.gradient is not None:
            target = key.gradient.target
            on_the_way = (self.parts.nodes[name] for name in self.parts.needed(target))
            tensors += [target, key.gradient.source, *captured(on_the_way)]
        return self.parts.needed_for(tensors)


def _exit(graph: Any, name: str) -> str:
    """A second reader of a tensor: it keeps TensorFlow from fusing away what is fetched or fed there."""
    return str(tf.identity(graph.get_tensor_by_name(name), name="layerscope/exit").name)


def _gradient(graph: Any, key: GradientKey, readers_get: Mapping[str, str]) -> tuple[str, str]:
    """Add a gradient to a graph; the names of the placeholder for the weights of the target, and of the gradient.

    Of edited tensors, `readers_get` names the edited values: the gradient is by those, and through other edits.

    Raises:
        LookupError, ValueError, TypeError: there is no such gradient.
    """
    target = graph.get_tensor_by_name(readers_get.get(key.target, key.target))
    weight = tf.compat.v1.placeholder(target.dtype, name="layerscope/weight")
    source = graph.get_tensor_by_name(readers_get.get(key.source, key.source))
    # For the gradient of a loop or a branch, TensorFlow changes it here to give what the gradient reads.
    (gradient,) = tf.gradients(target, [source], [tf.reshape(weight, tf.shape(target))])
    if gradient is None:
        raise LookupError(key.source)
    return str(weight.name), str(tf.identity(gradient).name)
