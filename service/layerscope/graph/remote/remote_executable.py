"""Remote executable: the calls of an executable that compute values, answered by the run process."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np

from layerscope.graph.edits import Edit
from layerscope.graph.remote.run_process import RunBounds, RunProcess
from layerscope.graph.remote.wire import Gradient, Run, RunBetween
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.runtime.executable import Executable
from layerscope.graph.taps.tap import Tap

Array = np.ndarray[Any, np.dtype[Any]]


class RemoteExecutable:
    """A `Runner` whose runs can be ended, whatever the model does. Safe to use from many threads.

    The run process uses the same graph, rewrites and memory of weights as the executable, so that values are the same. All
    calls raise what those of the executable raise, and what `RunProcess.call` does.

    Args:
        process: where the model runs.
        executable: of the model.
        bounds: of each run.
    """

    def __init__(self, process: RunProcess, executable: Executable, bounds: RunBounds) -> None:
        self._process = process
        self._executable = executable
        self._bounds = bounds

    def run(
        self,
        inputs: Sequence[Array],
        taps: Sequence[Tap],
        feeds: Mapping[Tap, Array] | None = None,
        *,
        edits: Mapping[Tap, Edit] | None = None,
        seed: int = 0,
        exact: bool = True,
    ) -> list[Array]:
        """As `Executable.run`."""
        feeds, edits = feeds or {}, edits or {}
        call = partial(
            Run,
            taps=_addresses(taps),
            feeds=_addresses(feeds),
            edits=_addresses(edits),
            seed=seed,
            exact=exact,
        )
        arrays = [*inputs, *feeds.values(), *_arrays(edits)]
        return self._process.call(self._executable, call, arrays, self._bounds)

    def gradient(
        self,
        inputs: Sequence[Array],
        derivative: Derivative,
        weights: Array | None = None,
        values: Array | None = None,
        *,
        edits: Mapping[Tap, Edit] | None = None,
        seed: int = 0,
        exact: bool = True,
    ) -> Array:
        """As `Executable.gradient`."""
        edits = edits or {}
        call = partial(
            Gradient,
            target=derivative.target.address,
            source=derivative.source.address,
            guided=derivative.guided,
            is_fed=derivative.is_fed,
            has_weights=weights is not None,
            has_values=values is not None,
            edits=_addresses(edits),
            seed=seed,
            exact=exact,
        )
        given = [each for each in (weights, values) if each is not None]
        (found,) = self._process.call(
            self._executable, call, [*inputs, *given, *_arrays(edits)], self._bounds
        )
        return found

    def run_between(
        self,
        sources: Mapping[Tap, Array],
        targets: Sequence[Tap],
        edits: Mapping[Tap, Edit] | None = None,
        rows: int = 1,
    ) -> list[Array]:
        """As `Executable.run_between`."""
        edits = edits or {}
        call = partial(
            RunBetween,
            sources=_addresses(sources),
            targets=_addresses(targets),
            edits=_addresses(edits),
            rows=rows,
        )
        return self._process.call(self._executable, call, [*sources.values(), *_arrays(edits)], self._bounds)


def _addresses(taps: Iterable[Tap]) -> tuple[str, ...]:
    return tuple(tap.address for tap in taps)


def _arrays(edits: Mapping[Tap, Edit]) -> list[Array]:
    """Scale, shift, low and high of each."""
    return [np.asarray(getattr(edit, each.name)) for edit in edits.values() for each in fields(edit)]
