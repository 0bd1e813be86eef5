"""Channel selection: `all`, a list such as `0,3,5-8`, or `top:16`."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from layerscope.errors import ChannelNotFound, OptionInvalid

Array = np.ndarray[Any, np.dtype[Any]]

_ITEM = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_TOP = re.compile(r"top:(\d{1,9})")
_MAX_CHANNELS = 65_536


@dataclass(frozen=True, slots=True)
class ChannelSelection:
    """A selection of channels: by number, the largest ones, or all.

    Attributes:
        ranges: First and last number of each range, both included.
        top: Number of channels, those with the largest mean magnitude of each image. With neither, all are selected.
    """

    ranges: tuple[tuple[int, int], ...] = ()
    top: int | None = None

    @property
    def is_all(self) -> bool:
        """Whether all channels are selected."""
        return not self.ranges and self.top is None

    @classmethod
    def parse(cls, text: str) -> "ChannelSelection":
        """Parse a selection.

        Raises:
            OptionInvalid: `text` does not follow the grammar, or names more than 65,536 channels.
        """
        text = text.replace(" ", "")
        if text == "all":
            return cls()
        if (match := _TOP.fullmatch(text)) and int(match[1]) > 0:
            return cls(top=int(match[1]))
        matches = [_ITEM.fullmatch(item) for item in text.split(",")]
        ranges = tuple((int(m[1]), int(m[2] or m[1])) for m in matches if m)
        if len(ranges) != len(matches) or any(low > high for low, high in ranges):
            message = f"channels={text[:100]!r} is not all, top:k, or a list such as 0,3,5-8."
            raise OptionInvalid(message, option="channels")
        if sum(high - low + 1 for low, high in ranges) > _MAX_CHANNELS:
            raise OptionInvalid(f"channels names more than {_MAX_CHANNELS} channels.", option="channels")
        return cls(ranges)

    @property
    def listed(self) -> list[int]:
        """The numbers of the channels of `ranges`, in their order; empty for `all` and `top`."""
        return [number for low, high in self.ranges for number in range(low, high + 1)]

    def count(self, available: int) -> int:
        """Number of selected channels of a layer with `available` channels."""
        if self.is_all:
            return available
        if self.top is not None:
            return min(self.top, available)
        return sum(high - low + 1 for low, high in self.ranges)

    def resolve(self, values: Array, layer: str) -> Array:
        """The numbers of the selected channels for each image.

        Args:
            values: Array of shape (batch, channels, ...).
            layer: The address of the layer, for messages.

        Returns:
            Integers of shape (batch, count).

        Raises:
            ChannelNotFound: The layer does not have a selected channel.
        """
        available = values.shape[1]
        self.require(available, layer)
        if self.top is not None:
            # The sum gives the same order as the mean, and is defined for an empty map.
            with np.errstate(over="ignore", invalid="ignore"):
                # float64 stays as it is: above the largest float32, channels would all be infinite, and alike.
                wide = np.result_type(values.dtype, np.float32)
                sizes = np.abs(values.astype(wide, copy=False))
                magnitude = sizes.sum(axis=tuple(range(2, values.ndim)), dtype=np.float64)
            order = np.argsort(-magnitude, axis=1, kind="stable")
            return order[:, : self.count(available)]
        return np.tile(np.asarray(self.listed or range(available)), (len(values), 1))

    def require(self, available: int, layer: str) -> None:
        """Check that a layer with `available` channels has all that are named.

        Raises:
            ChannelNotFound: The layer does not have one of them.
        """
        highest = max((high for _, high in self.ranges), default=-1)
        if highest >= available:
            raise ChannelNotFound(
                f"{layer} has {available} channels, counted from 0, so there is no channel {highest}.",
                layer=layer,
                channel=highest,
                channels=available,
            )
