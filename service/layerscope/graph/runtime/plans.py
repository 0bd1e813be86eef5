"""Plans: compiled parts of a model's graph, and the cache that keeps them."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from cachetools import LRUCache

Array = np.ndarray[Any, np.dtype[Any]]

Runtime = Literal["tensorflow", "openvino"]
"""What runs plans. OpenVINO runs those of whole images without edits, see `layerscope.graph.runtime.openvino_plan`."""


@dataclass(frozen=True)
class GradientKey:
    """The gradient of a tensor by another, both by name.

    With `guided`, it passes each ReLU only where it is positive, see `layerscope.graph.rewrites.guided_relu`.
    """

    target: str
    source: str
    guided: bool = False


@dataclass(frozen=True)
class PlanKey:
    """What a plan computes.

    Attributes:
        fed: the names of the tensors that it takes.
        fetched: the names of the tensors that it gives.
        gradient: computed too, if there is one. The plan gives it last, and takes one array more, last: how much each
            value of the gradient's target counts.
        edited: the names of the tensors whose values are edited, see `layerscope.graph.edits`. What is fetched of them is
            edited, too. The plan takes the arrays of the edits behind all that is fed.
        is_cut: whether the plan has none of the graph before the fed tensors, and takes windows of their values: any
            multiple of all strides behind may be missing at the sides.
    """

    fed: tuple[str, ...]
    fetched: tuple[str, ...]
    gradient: GradientKey | None = None
    is_cut: bool = False
    edited: tuple[str, ...] = ()

    def covers(self, other: "PlanKey") -> bool:
        """Whether this plan fetches all that the other fetches, from the same fed tensors under the same edits."""
        special = self.gradient or other.gradient or self.is_cut or other.is_cut
        same = self.fed == other.fed and self.edited == other.edited
        return not special and same and set(other.fetched) <= self._names

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.fetched)


@dataclass(frozen=True, eq=False)
class Plan:
    """A compiled plan: call it with one array for each fed tensor. Safe to use from many threads at once.

    `nbytes` estimates its memory, without the values while it runs.
    """

    key: PlanKey
    nbytes: int
    _call: Callable[..., list[Array]] = field(repr=False)

    def __call__(self, values: Sequence[Any]) -> list[Array]:
        """The values of `key.fetched`, in that order."""
        return self._call(*values)


class PlanCache:
    """Plans by key, bounded in bytes; the least recently used are dropped. Safe to use from many threads.

    A plan that is dropped while it runs is freed after the run.
    """

    def __init__(self, make: Callable[[PlanKey], Plan], most_bytes: int) -> None:
        self._make = make
        self._kept: LRUCache[PlanKey, Plan] = LRUCache(most_bytes, getsizeof=lambda plan: plan.nbytes)
        self._promised: dict[PlanKey, Future[Plan]] = {}
        self._lock = threading.Lock()

    def get(self, key: PlanKey) -> Plan:
        """The plan of this key. If many threads want it at the same time, one compiles and the others wait.

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

    def find(self, key: PlanKey) -> Plan | None:
        """The plan of this key if it is in the cache."""
        with self._lock:
            return self._kept.get(key)

    def covering(self, key: PlanKey) -> list[Plan]:
        """The plans in the cache that fetch all that a plan of this key would, from the same fed tensors."""
        with self._lock:
            plans = list(self._kept.values())
        return [plan for plan in plans if plan.key.covers(key)]

    @property
    def nbytes(self) -> int:
        """Bytes of all plans in the cache."""
        return int(self._kept.currsize)

    def clear(self) -> None:
        """Drop all plans."""
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
