"""Errors of arrays whose shapes a graph cannot run."""

from collections.abc import Iterable, Sequence

from layerscope.errors import InputMismatch


def cannot_run(shapes: Iterable[Sequence[int | None]]) -> InputMismatch:
    """The error for inputs, each (batch, *shape), of valid ranks with which the model's layers cannot compute."""
    named = [list(shape) for shape in shapes]
    return InputMismatch(
        f"The model cannot run on inputs of shape {', '.join(map(str, named))}: a layer does not take such sizes or values.",
        shapes=named,
    )


def leaves_nothing(layer: str, shapes: Iterable[Sequence[int | None]]) -> InputMismatch:
    """The error for inputs, each (batch, *shape), that are too small for a layer to compute anything from."""
    named = [list(shape) for shape in shapes]
    return InputMismatch(
        f"Inputs of shape {', '.join(map(str, named))} leave {layer} no values to compute: send larger ones.",
        layer=layer,
        shapes=named,
    )
