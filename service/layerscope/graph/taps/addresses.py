"""Addresses: the names of values inside a network, `path[:call][.output][@site]`.

`backbone/block1/conv` is the output of the first call of that layer, `encoder/conv1:1` of its second call,
`lstm:0.1` the second output of the first call, `conv1@preactivation` the value before its fused activation,
`attention@scores` what an attention layer multiplies its values by.
Layer names may contain any character: those with a meaning here are percent-encoded in an address.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import quote, unquote

from layerscope.errors import InvalidAddress

Site = Literal["output", "input", "preactivation", "scores"]
"""Where at a layer's call a value is: its output, its input, the input of its activation function, or its attention scores."""

SITES: tuple[Site, ...] = get_args(Site)

_RESERVED = re.compile(r"[%/:@,*?\[\]\x00-\x1f\x7f\s]")
_PLACE = re.compile(r"(?P<path>[^:@]+)(?::(?P<call>\d{1,6})(?:\.(?P<output>\d{1,6}))?)?(?:@(?P<site>\w+))?")


@dataclass(frozen=True, slots=True)
class Address:
    """The name of one value. `str(address)` is its canonical form: parts that are zero or default left out."""

    path: tuple[str, ...]
    call: int = 0
    output: int = 0
    site: Site = "output"

    def __str__(self) -> str:
        text = encode_path(self.path)
        if self.output:
            text += f":{self.call}.{self.output}"
        elif self.call:
            text += f":{self.call}"
        return text if self.site == "output" else f"{text}@{self.site}"


def encode_path(path: tuple[str, ...]) -> str:
    """Join layer names, outermost first, as they stand in an address."""
    return "/".join(_RESERVED.sub(lambda match: quote(match[0], safe=""), name) for name in path)


def parse_address(text: str) -> Address:
    """Read an address in any of its spellings (`conv:0` and `conv` are the same).

    Raises:
        InvalidAddress: `text` does not follow the grammar.
    """
    match = _PLACE.fullmatch(text)
    names = match["path"].split("/") if match else [""]
    if match is None or not all(names):
        raise InvalidAddress(f"{text[:100]!r} is not a layer address: write path[:call][.output][@site].")
    site = parse_site(match["site"] or "output")
    path = tuple(unquote(name) for name in names)
    return Address(path, int(match["call"] or 0), int(match["output"] or 0), site)


def parse_site(text: str) -> Site:
    """Read the part of an address after `@`.

    Raises:
        InvalidAddress: there is no such site.
    """
    for site in SITES:
        if text == site:
            return site
    raise InvalidAddress(f"{text[:100]!r} is not a site: use {', '.join(SITES)}.")
