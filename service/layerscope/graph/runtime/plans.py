"""Plans: a part of a model's graph, compiled to compute some of its tensors from others, and which are kept.

Each has a session of its own. TensorFlow holds up all runs of a session while it compiles for it, so that nobody
waits for another's plan; and what a plan took is given back with its session. The weights are in none of them: every
session computes from where they are prepared.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from cachetools import LRUCache
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.framework.ops import dismantle_graph

from layerscope.graph.analysis.subgraph import GraphParts
from layerscope.graph.prepared.weights import Weights
from layerscope.graph.rewrites.fold_kernels import arranged_bytes
from layerscope.graph.rewrites.fuse_conv_bn import fused
from layerscope.graph.rewrites.guided_relu import guide
from layerscope.graph.rewrites.loop_gradients import loops_differentiable
from layerscope.graph.rewrites.no_sum_fusion import apart, session_configuration
from layerscope.graph.taps.tap import Tap

Array = np.ndarray[Any, np.dtype[Any]]

BYTES_PER_NODE = 9_000
"""What one node of a compiled graph takes; measured over whole networks, see `benchmarks/memory.py`."""


@dataclass(frozen=True)
class Slope:
    """The derivative of a tensor by another, both by name.

    A `guided` one lets back through rectifiers only what is positive (Springenberg et al. 2015).
    """

    target: str
    source: str
    guided: bool = False


@dataclass(frozen=True)
class PlanKey:
    """What a plan computes: the tensors `fetched`, from those `fed`, all by name.

    With a `derivative`, its values come last. It takes one more array, last: how much each value of its target counts.
    One that `is_cut` has nothing of what comes before those fed, and takes windows of them: any multiple of all strides
    behind may be missing from their sides.
    """

    fed: tuple[str, ...]
    fetched: tuple[str, ...]
    derivative: Slope | None = None
    is_cut: bool = False

    def covers(self, other: "PlanKey") -> bool:
        """Whether all that another computes is fetched by this one too, from the same tensors."""
        special = self.derivative or other.derivative or self.is_cut or other.is_cut
        return not special and self.fed == other.fed and set(other.fetched) <= self._names

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.fetched)


@dataclass(frozen=True, eq=False)
class Plan:
    """A compiled plan: call it with one array for each fed tensor. Safe to use from many threads at once.

    `nbytes` is about what it takes in memory, besides its values while it runs.
    """

    key: PlanKey
    nbytes: int
    _call: Callable[..., list[Array]] = field(repr=False)

    def __call__(self, values: Sequence[Any]) -> list[Array]:
        """The values of `key.fetched`, in that order."""
        return self._call(*values)


def compile_plan(parts: GraphParts, weights: Weights, taps: Mapping[str, Tap], key: PlanKey) -> Plan:
    """Compile a plan. It takes 0.05 to 0.5 s.

    Args:
        parts: the graph.
        weights: of its variables.
        taps: of the graph, by the name of their tensor.
        key: what the plan computes.

    Raises:
        LookupError, ValueError, TypeError: there is no such derivative.
    """
    slope = key.derivative
    ends = () if slope is None else (slope.target, slope.source)
    if key.is_cut:
        definition = parts.between({name: taps[name].tensor.dtype for name in key.fed}, key.fetched)
    else:
        definition = parts.needed_for([*key.fed, *key.fetched, *ends])
    # What is replaced or differentiated by must be there.
    if key.is_cut or (slope is None and parts.are_placeholders(key.fed)):
        definition = fused(definition, key.fetched, {name: tap.shape for name, tap in taps.items()}, weights)
    if slope is not None and slope.guided:
        guide(definition)
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
        fed = list(key.fed)
        fetched = [_exit(graph, name) for name in key.fetched]
        if slope is not None:
            weight, derivative = _derivative(graph, slope)
            fed.append(weight)
            fetched.append(derivative)
        assignments = weights.assignments_in(graph)
    session = tf.compat.v1.Session(graph=graph, config=session_configuration(definition))
    weights.assign(session, assignments)
    options = config_pb2.CallableOptions(feed=fed, fetch=fetched, target=apart(graph))
    # The public make_callable keeps what it compiled for as long as the session lives.
    call = session._make_callable_from_options(options)  # noqa: SLF001
    nbytes = len(graph.get_operations()) * BYTES_PER_NODE + arranged_bytes(definition, weights)
    # A graph is full of cycles and would wait for the garbage collector; the session has its own copy.
    dismantle_graph(graph)
    return Plan(key, nbytes, call)


class PlanCache:
    """Plans by key, bounded in bytes; the least recently used make way. Safe to use from many threads.

    A plan that makes way while it runs is given back when it has run.
    """

    def __init__(self, make: Callable[[PlanKey], Plan], most_bytes: int) -> None:
        self._make = make
        self._kept: LRUCache[PlanKey, Plan] = LRUCache(most_bytes, getsizeof=lambda plan: plan.nbytes)
        self._promised: dict[PlanKey, Future[Plan]] = {}
        self._lock = threading.Lock()

    def get(self, key: PlanKey) -> Plan:
        """The plan of this key, compiled once if many ask at the same time.

        Raises:
            Exception: whatever compiling raises.
        """
        with self._lock:
            plan = self._kept.get(key)
            promised = self._promised.get(key)
            if plan is None and promised is None:
                own = self._promised[key] = Future()
        if plan is not None:
            return plan
        return promised.result() if promised is not None else self._fulfil(key, own)

    def kept(self, key: PlanKey) -> Plan | None:
        """The plan of this key if it is kept."""
        with self._lock:
            return self._kept.get(key)

    def covering(self, key: PlanKey) -> list[Plan]:
        """The kept plans that fetch all that this one would, and perhaps more, from the same tensors."""
        with self._lock:
            plans = list(self._kept.values())
        return [plan for plan in plans if plan.key.covers(key)]

    @property
    def nbytes(self) -> int:
        """What all kept plans take."""
        return int(self._kept.currsize)

    def clear(self) -> None:
        """Forget all plans."""
        with self._lock:
            self._kept.clear()

    def _fulfil(self, key: PlanKey, promise: "Future[Plan]") -> Plan:
        try:
            plan = self._make(key)
        except BaseException as error:
            with self._lock:
                del self._promised[key]
            promise.set_exception(error)
            raise
        with self._lock:
            if plan.nbytes <= self._kept.maxsize:
                self._kept[key] = plan
            del self._promised[key]
        promise.set_result(plan)
        return plan


def _exit(graph: Any, name: str) -> str:
    """A second reader of a tensor: it keeps TensorFlow from fusing away what is fetched or fed there."""
    return str(tf.identity(graph.get_tensor_by_name(name), name="layerscope/exit").name)


def _derivative(graph: Any, slope: Slope) -> tuple[str, str]:
    """The names of what tells how much each value of the target counts, and of the derivative."""
    target = graph.get_tensor_by_name(slope.target)
    weight = tf.compat.v1.placeholder(target.dtype, name="layerscope/weight")
    source = graph.get_tensor_by_name(slope.source)
    with loops_differentiable():
        (derivative,) = tf.gradients(target, [source], [tf.reshape(weight, tf.shape(target))])
    if derivative is None:
        raise LookupError(slope.source)
    return str(weight.name), str(tf.identity(derivative).name)
