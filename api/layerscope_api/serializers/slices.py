"""Slices of a volume, or frames of a film, that a request names."""

from collections.abc import Sequence

from layerscope.errors import OptionInvalid


def chosen_slices(wanted: str, count: int) -> Sequence[int]:
    """The numbers of slices, in their order.

    Args:
        wanted: `all`, or numbers and ranges such as `0,3,5-8`.
        count: how many slices there are.

    Raises:
        OptionInvalid: there is no such slice, or one is named twice.
    """
    if wanted == "all":
        return range(count)
    found: list[int] = []
    for part in wanted.split(","):
        first, _, last = part.partition("-")
        begin, end = int(first), int(last or first)
        if end >= count:
            message = f"There are {count} slices, numbered from 0: there is no slice {end}."
            raise OptionInvalid(message, option="slice", slices=count)
        if end < begin:
            message = f"The range {part} of slice ends before it begins: write {end}-{begin}."
            raise OptionInvalid(message, option="slice", slices=count)
        twice = [number for number in found if begin <= number <= end]
        if twice:
            message = f"slice names slice {twice[0]} twice: name each once."
            raise OptionInvalid(message, option="slice", slices=count)
        found += range(begin, end + 1)
    return found
