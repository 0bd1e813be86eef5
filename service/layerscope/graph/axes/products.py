"""Rules for products of matrices: axes that are kept, and those that a kernel makes."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from layerscope.graph.axes.dimension import CHANNELS, UNKNOWN, Dimension, Dimensions, broadcast, united
from layerscope.graph.axes.step import Step, Unclear


def matmul(step: Step) -> Dimensions:
    """Two matrices, of which either may be transposed."""
    attr = step.node.attr
    return _product(step, turned=(attr["transpose_a"].b, attr["transpose_b"].b))


def batch_matmul(step: Step) -> Dimensions:
    """Two stacks of matrices, of which either may be transposed."""
    attr = step.node.attr
    return _product(step, turned=(attr["adj_x"].b, attr["adj_y"].b))


def _product(step: Step, turned: tuple[bool, bool]) -> Dimensions:
    """The rows of the left matrix, and the columns of the right."""
    left, right = step.read
    rows = None if left is None else left[-1 if turned[0] else -2]
    columns = None if right is None else right[-2 if turned[1] else -1]
    stacks = [(own[:-2], None) for own in (left, right) if own is not None]
    kept = (*broadcast(stacks), rows, columns) if any(own for own, _ in stacks) else (rows, columns)
    return tuple(_with_made(kept))


def einsum(step: Step) -> Dimensions:
    """Axes by letters, as in NumPy."""
    operands, result = letters_of(step)
    found: dict[str, list[Dimension]] = defaultdict(list)
    for letters, own in zip(operands, step.read, strict=True):
        for letter, dimension in zip(letters, own or (), strict=own is not None):
            found[letter].append(dimension)
    kept = [united(found[letter]) if letter in found else None for letter in result]
    # A kernel that differs from place to place, as a table of relative positions, makes no features of a place.
    kernels = [letters for letters, own in zip(operands, step.read, strict=True) if own is None]
    if any(letter in found and letter in result for letters in kernels for letter in letters):
        return tuple(UNKNOWN if each is None else each for each in kept)
    return tuple(_with_made(kept))


def letters_of(step: Step) -> tuple[list[list[str]], list[str]]:
    """The letters of the axes of each operand of an einsum, and of its result; digits stand in place of an ellipsis.

    Raises:
        Unclear: the number of axes is not known.
    """
    operands, result = step.node.attr["equation"].s.decode().replace(" ", "").split("->")
    ranks = [len(step.dimensions(number)) for number in range(len(step.sources))]
    spelled = [_spelled(letters, rank) for letters, rank in zip(operands.split(","), ranks, strict=True)]
    return spelled, _spelled(result, len(step.given()))


def _spelled(letters: str, rank: int) -> list[str]:
    """Letters with digits in place of an ellipsis."""
    before, ellipsis, after = letters.partition("...")
    if not ellipsis:
        if len(letters) != rank:
            raise Unclear
        return list(letters)
    # Counted from the right, as broadcasting counts them.
    hidden = [str(place) for place in reversed(range(rank - len(before) - len(after)))]
    return [*before, *hidden, *after]


def _with_made(kept: Sequence[Dimension | None]) -> Iterator[Dimension]:
    """The axes of a product; None stands for one that a kernel has made.

    The last of these counts channels. Where another axis counts channels, the kernel was applied to places, and the axis that
    it made may count these, or anything.
    """
    has_channels = any(each is not None and each.name == "channels" for each in kept)
    last = max((place for place, each in enumerate(kept) if each is None), default=None)
    for place, each in enumerate(kept):
        if each is not None:
            yield each
        else:
            yield CHANNELS if place == last and not has_channels else UNKNOWN
