"""Errors of arrays whose shapes a graph cannot run."""

from collections.abc import Iterable, Sequence

from layerscope.errors import InputMismatch


def cannot_run(shapes: Iterable[Sequence[int | None]]) -> InputMismatch:
    """What to say of inputs, each (batch, *shape), that fit their places but not what the model does with them."""
    named = [list(shape) for shape in shapes]
    return InputMismatch(
        f"The model cannot run on inputs of shape {', '.join(map(str, named))}.", shapes=named
    )
