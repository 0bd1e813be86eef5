"""Slices of a volume, or frames of a film, that a request names."""

from collections.abc import Sequence

from layerscope.errors import OptionInvalid


def chosen_slices(wanted: str, count: int) -> Sequence[int]:
    """The numbers of slices, in their order.

    Args:
        wanted: `all`, or numbers and ranges such as `0,3,5-8`.
        count: how many slices there are.

    Raises:
        OptionInvalid: there is no such slice.
    """
    if wanted == "all":
        return range(count)
    found: list[int] = []
    for part in wanted.split(","):
        first, _, last = part.partition("-")
        end = int(last or first)
        if end >= count:
            message = f"There are {count} slices, numbered from 0: there is no slice {end}."
            raise OptionInvalid(message, option="slice", slices=count)
        found += range(int(first), end + 1)
        if len(found) > count or end < int(first):
            message = "slice names a slice twice, or a range whose end is before its beginning."
            raise OptionInvalid(message, option="slice", slices=count)
    return found
