"""Memory of the nodes of a graph: how much of it is taken at the fullest moment of a run.

A run computes only what the fetched tensors need, and frees a tensor when its last reader has run. So a tensor is alive
from the node that computes it to the last node that reads it, or to the end of the run if it is fetched. Everything that a
layer makes on its way, such as the scores of an attention, is a tensor of a node and counts like its output. What is not
seen is memory inside of a kernel, but for those that are known to copy.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.int64]

_ALIASES = frozenset(
    {
        "CheckNumerics",
        "EnsureShape",
        "ExpandDims",
        "Identity",
        "PreventGradient",
        "Reshape",
        "Snapshot",
        "Squeeze",
        "StopGradient",
    }
)
"""Operations whose result is the memory of their first input."""

_STORED = frozenset({"Const", "ReadVariableOp", "VarHandleOp", "NoOp"})
"""Operations whose result is there before the run."""

_KEEP_ONE = frozenset(
    {
        "Add",
        "AddN",
        "AddV2",
        "BiasAdd",
        "Elu",
        "Exp",
        "LeakyRelu",
        "Neg",
        "Relu",
        "Relu6",
        "Rsqrt",
        "Selu",
        "Sigmoid",
        "Softmax",
        "Sqrt",
        "Sub",
        "Tanh",
    }
)
"""Operations that write over an input where nothing else reads it, also in a run that takes a gradient."""

_IN_PLACE = _KEEP_ONE | frozenset(
    {
        "Abs",
        "Cast",
        "Ceil",
        "ClipByValue",
        "Cos",
        "DivNoNan",
        "Erf",
        "Erfc",
        "Expm1",
        "Floor",
        "LogSoftmax",
        "Log",
        "Log1p",
        "Maximum",
        "Minimum",
        "Mul",
        "Pow",
        "RealDiv",
        "Round",
        "SelectV2",
        "Sign",
        "Sin",
        "Softplus",
        "Softsign",
        "Square",
        "SquaredDifference",
        "Xdivy",
    }
)
"""Operations that write over an input where nothing else reads it."""


@dataclass(frozen=True)
class NodeBytes:
    """What the nodes of a graph take on inputs of one size, each by the number of the node.

    Attributes:
        made: bytes of all outputs.
        within: bytes taken besides while the node runs.
        remembered: bytes that a gradient keeps besides the outputs, as of all steps of a loop.
    """

    made: Bytes
    within: Bytes
    remembered: Bytes


class NodeMemory:
    """The nodes of one graph, and which of them read which.

    Args:
        nodes: name, operation and the names of the nodes that it reads, in an order in which they can run.
    """

    def __init__(self, nodes: Sequence[tuple[str, str, Sequence[str]]]) -> None:
        self.names = [name for name, _, _ in nodes]
        self._operations = [operation for _, operation, _ in nodes]
        self._inputs = [inputs for _, _, inputs in nodes]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each node by its name."""
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def _reads(self) -> list[list[int]]:
        numbers = self.numbers
        return [[numbers[name] for name in inputs if name in numbers] for inputs in self._inputs]

    @cached_property
    def _holders(self) -> list[int]:
        """The node whose memory each node's result is."""
        holders: list[int] = []
        for number, operation in enumerate(self._operations):
            reads = self._reads[number]
            is_alias = operation in _ALIASES and reads and reads[0] < number
            holders.append(holders[reads[0]] if is_alias else number)
        return holders

    def peak(self, wanted: Collection[str], nbytes: NodeBytes) -> int:
        """The most bytes that are taken at one moment of a run.

        Args:
            wanted: the names of the nodes whose results are fetched.
            nbytes: of the nodes.
        """
        runs = self.needed(wanted)
        made = self._own(nbytes.made)
        kept = {self._holders[self.numbers[name]] for name in wanted}
        last_reader = {
            self._holders[read]: number for number in runs for read in (number, *self._reads[number])
        }
        dying: dict[int, int] = {}
        live = fullest = 0
        for number in runs:
            size = made[number]
            over = self._written_over(number, size, made, kept, last_reader)
            if over is None:
                live += size
            else:
                dying[number] -= size
            if size and number not in kept:
                last = last_reader[number]
                dying[last] = dying.get(last, 0) + size
            fullest = max(fullest, live + int(nbytes.within[number]))
            live -= dying.get(number, 0)
        return fullest

    def total(self, wanted: Collection[str], nbytes: NodeBytes) -> int:
        """The bytes of all results that a gradient keeps, and the most that a node takes besides. As for `peak`."""
        runs = self.needed(wanted)
        made = self._own(nbytes.made)
        kept = sum(made[number] for number in runs if self._operations[number] not in _KEEP_ONE)
        remembered = int(nbytes.remembered[runs].sum()) if runs else 0
        return kept + remembered + max((int(nbytes.within[number]) for number in runs), default=0)

    def _own(self, made: Bytes) -> list[int]:
        """The bytes that each node allocates."""
        return [
            0 if operation in _STORED or operation in _ALIASES else size
            for operation, size in zip(self._operations, made.tolist(), strict=True)
        ]

    def _written_over(
        self, number: int, size: int, made: Sequence[int], kept: Collection[int], last_reader: dict[int, int]
    ) -> int | None:
        """The node whose memory a node takes over for its own result; None if it allocates."""
        if size and self._operations[number] in _IN_PLACE:
            for read in self._reads[number]:
                holder = self._holders[read]
                if made[holder] == size and holder not in kept and last_reader[holder] == number:
                    return holder
        return None

    def needed(self, wanted: Collection[str]) -> list[int]:
        """The numbers of the nodes that run if the results of those named are fetched, in order."""
        found: set[int] = set()
        waiting = [self.numbers[name] for name in wanted]
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting.extend(self._reads[number])
        return sorted(found)
