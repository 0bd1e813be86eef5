"""Step: one operation, with what is known of the axes that it reads, as the rules take it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from layerscope.graph.axes.dimension import BATCH, UNKNOWN, Dimensions, broadcast
from layerscope.graph.axes.graph import FollowedGraph, full_name
from layerscope.graph.axes.sizes import computed_sizes
from layerscope.graph.taps.tap import Shape


class Unclear(Exception):
    """A shape or a value that a rule needs is not known before a run."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation.

    Attributes:
        graph: that it is of.
        node: the operation.
        sources: the names of the tensors that it reads.
        read: the axes of each of them; None for what does not depend on the inputs, such as weights.
    """

    graph: FollowedGraph
    node: Any
    sources: tuple[str, ...]
    read: Sequence[Dimensions | None]

    @property
    def op(self) -> str:
        """The type of the operation."""
        return str(self.node.op)

    def dimensions(self, number: int = 0) -> Dimensions:
        """The axes of a tensor that is read. Of one that does not depend on the inputs, they are unknown."""
        found = self.read[number]
        return (UNKNOWN,) * len(self.shape(number)) if found is None else found

    def shape(self, number: int = 0) -> Shape:
        """The shape of a tensor that is read.

        Raises:
            Unclear: not even the number of axes is known.
        """
        found = self.graph.shape(self.sources[number])
        if found is None:
            raise Unclear
        return found

    def given(self, number: int = 0) -> Shape:
        """The shape of an output.

        Raises:
            Unclear: not even the number of axes is known.
        """
        found = self.graph.shape(full_name(f"{self.node.name}:{number}"))
        if found is None:
            raise Unclear
        return found

    def numbers(self, number: int) -> Sequence[int]:
        """The whole numbers that a source is.

        Raises:
            Unclear: they depend on the image.
        """
        found = computed_sizes(self.graph, self.sources[number])
        if found is None:
            raise Unclear
        return found

    def combined(self, numbers: Sequence[int] | None = None) -> Dimensions:
        """The axes of tensors that are combined place by place.

        Args:
            numbers: of these tensors; all if left out.
        """
        chosen = range(len(self.read)) if numbers is None else numbers
        known = [(number, found) for number in chosen if (found := self.read[number]) is not None]
        sizes = [self.graph.shape(self.sources[number]) for number, _ in known] if len(known) > 1 else [None]
        found = broadcast([(own, shape) for (_, own), shape in zip(known, sizes, strict=True)])
        widest = max(
            (len(shape) for number in chosen if (shape := self._shape_of_constant(number))), default=0
        )
        return (UNKNOWN,) * (widest - len(found)) + found

    def _shape_of_constant(self, number: int) -> Shape | None:
        return self.graph.shape(self.sources[number]) if self.read[number] is None else None

    def unknown(self, number: int = 0) -> Dimensions | None:
        """The axes of an output of which nothing is known but, where it seems so, that it has the batch axis."""
        found = self.graph.shape(full_name(f"{self.node.name}:{number}"))
        if found is None:
            return None
        is_batch = any(own and own[0].name == "batch" for own in self.read) and found[:1] == (None,)
        return tuple(BATCH if is_batch and not place else UNKNOWN for place in range(len(found)))
