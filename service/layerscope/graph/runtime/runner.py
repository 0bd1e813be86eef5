"""Runner: what runs a model, in this process or in another."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from layerscope.graph.edits import Edit
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.taps.tap import Tap

Array = np.ndarray[Any, np.dtype[Any]]


class Runner(Protocol):
    """The calls of `layerscope.graph.runtime.executable.Executable` that compute values. It describes them."""

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
        """Run the model once; one array a tap."""

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
        """Differentiate one value by another."""

    def run_between(
        self,
        sources: Mapping[Tap, Array],
        targets: Sequence[Tap],
        edits: Mapping[Tap, Edit] | None = None,
        rows: int = 1,
    ) -> list[Array]:
        """Run only the layers between some taps and others."""
