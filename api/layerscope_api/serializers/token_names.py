"""Names of tokens beside pictures: what the rows and columns of values are, where these count tokens."""

from collections.abc import Callable, Sequence

from layerscope.render import LONGEST_NAME, Sides
from layerscope.tensors.spec import TensorSpec
from layerscope.text import Token

_TOKENS = frozenset({"key", "query", "tokens"})

NamesOf = Callable[[int], Sequence[str]]
"""Gives the names of so many tokens."""


def texts_of(tokens: Sequence[Sequence[Token]]) -> Sequence[Sequence[str]] | None:
    """The tokens of each text as they are drawn: those without an entry in the vocabulary by their ids; None for none."""
    return [[each.text or str(each.id) for each in text] for text in tokens] or None


def names_of_tokens(tokens: Sequence[str]) -> NamesOf:
    """The tokens themselves where there are as many; else their numbers, as of what was computed from other tokens."""
    return lambda size: tokens if len(tokens) == size else [str(number) for number in range(size)]


def widest_names(size: int) -> Sequence[str]:
    """Names as wide as any that are drawn."""
    return ["W" * LONGEST_NAME] * size


def sides_of(spec: TensorSpec, channel_axis: int | None, names: NamesOf) -> Sides | None:
    """The names of the rows and columns of the tiles of one image; None where they count no tokens.

    Args:
        spec: of the values as they are drawn.
        channel_axis: the axis of one image's values of which each number is a tile; None for one tile.
        names: gives those of tokens.
    """
    counted = [
        names(size) if name in _TOKENS else ()
        for axis, (name, size) in enumerate(zip(spec.axes[1:], spec.shape[1:], strict=True))
        if axis != channel_axis
    ]
    if len(spec.shape) <= 2 or not any(counted[-2:]):
        return None
    rows, columns = counted[-2:] if len(counted) > 1 else ((), counted[0])
    return Sides(rows=rows, columns=columns)
