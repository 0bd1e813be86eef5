"""The models of a run process, and the calls that it answers with them."""

import logging
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from layerscope.errors import LayerscopeError
from layerscope.graph.edits import Edit
from layerscope.graph.prepared.prepared_model import read
from layerscope.graph.remote.wire import Call, CloseModel, Done, Failed, Gradient, OpenModel, Received, Run
from layerscope.graph.rewrites import REWRITES
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.runtime.executable import Executable
from layerscope.graph.taps.tap import Tap
from layerscope.limits import MIB

Array = np.ndarray[Any, np.dtype[Any]]

logger = logging.getLogger(__name__)

_PLAN_BYTES = 128 * MIB
"""Memory for the compiled plans of each model. There is one run at a time, so few are in use."""


class _CalledModel:
    """One model: its executable, and its taps by address."""

    def __init__(self, message: OpenModel, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as file:
            prepared = read(file, is_writable=False)
        rewrites = [each for each in REWRITES if each.__name__ in message.rewrites]
        self.executable = Executable(
            prepared,
            plan_bytes=_PLAN_BYTES,
            exact=message.is_exact,
            rewrites=rewrites,
            data_sized_bytes=message.data_sized_bytes,
        )
        self._taps = {tap.address: tap for each in prepared.metadata.calls for tap in each.taps}

    def answer(self, call: Call, arrays: Sequence[Array]) -> list[Array]:
        """What the method of the executable returns."""
        rest = iter(arrays)
        if isinstance(call, Run):
            inputs = list(islice(rest, len(self.executable.inputs)))
            feeds = dict(zip(self._named(call.feeds), rest, strict=False))
            edits = self._edits(call.edits, rest)
            return self.executable.run(
                inputs, self._named(call.taps), feeds, edits=edits, seed=call.seed, exact=call.exact
            )
        if isinstance(call, Gradient):
            inputs = list(islice(rest, len(self.executable.inputs)))
            derivative = Derivative(
                self._taps[call.target], self._taps[call.source], call.guided, call.is_fed
            )
            weights = next(rest) if call.has_weights else None
            values = next(rest) if call.has_values else None
            edits = self._edits(call.edits, rest)
            gradient = self.executable.gradient(
                inputs, derivative, weights, values, edits=edits, seed=call.seed, exact=call.exact
            )
            return [gradient]
        sources = dict(zip(self._named(call.sources), rest, strict=False))
        edits = self._edits(call.edits, rest)
        return self.executable.run_between(sources, self._named(call.targets), edits, call.rows)

    def _named(self, addresses: Sequence[str]) -> list[Tap]:
        return [self._taps[each] for each in addresses]

    def _edits(self, addresses: Sequence[str], arrays: Iterator[Array]) -> dict[Tap, Edit]:
        return {tap: Edit(*islice(arrays, 4)) for tap in self._named(addresses)}


class CalledModels:
    """The models that a service has opened, by number."""

    def __init__(self) -> None:
        self._models: dict[int, _CalledModel] = {}

    def answer(self, received: Received) -> tuple[Done | Failed, list[Array]]:
        """Do what a message says; the answer, with its arrays."""
        try:
            return Done(), self._answer(received)
        except LayerscopeError as error:
            return Failed(code=error.code, message=error.message, details=error.details), []
        except Exception as error:
            logger.exception("A run failed")
            return Failed(code=None, message=repr(error)), []

    def _answer(self, received: Received) -> list[Array]:
        message = received.message
        if isinstance(message, OpenModel):
            self._models[message.model] = _CalledModel(message, received.descriptors[0])
            return []
        if isinstance(message, CloseModel):
            self._models.pop(message.model).executable.close()
            return []
        assert isinstance(message, Call)  # noqa: S101 - the service sends nothing else
        return self._models[message.model].answer(message, received.arrays)
