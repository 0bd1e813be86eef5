"""Taps: the values of a traced model. There is one `LayerCall` for each call of a layer, one `Tap` for each value at it."""

from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Literal

import numpy as np

from layerscope.graph.taps.addresses import Address, Site

Shape = tuple[int | None, ...]
"""Axes after the batch axis; None where the size depends on the input."""

AxisName = Literal[
    "height", "width", "depth", "time", "tokens", "query", "key", "heads", "channels", "unknown"
]
"""What an axis counts. `query` and `key` are those of attention scores: which token attends, and to which. It is followed through the graph from the inputs, and `unknown` where that tells nothing."""


@dataclass(frozen=True, slots=True)
class TokenGrid:
    """A map of places of an image that was flattened, row by row, into tokens.

    Attributes:
        height: its rows.
        width: its columns.
        offset: the tokens before its first, such as a class token.
        is_read: whether any output of the model is computed from its places, and not from other tokens alone.
    """

    height: int
    width: int
    offset: int
    is_read: bool = True


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a model: its name, its shape without the batch axis, and the dtype it is fed in."""

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the graph.

    Attributes:
        name: in the graph.
        shape: without the batch axis.
        dtype: that it is computed in.
        batched: whether it has a batch axis. A constant of the model, such as a table of positions, has none: it is the
            same for every image.
        mixed: whether the model mixes the images of a batch here, so that it must be computed for each image alone.
        axes: what each axis of `shape` counts; empty if nothing is known of any.
        grid: the map that its tokens are, if they are one.
    """

    name: str
    shape: Shape
    dtype: str
    batched: bool = True
    mixed: bool = False
    axes: tuple[AxisName, ...] = ()
    grid: TokenGrid | None = None


@dataclass(frozen=True)
class LayerCall:
    """One call of one layer.

    Attributes:
        path: the names of the layer and of those around it, outermost first.
        call: the number of the call.
        type: the class of the layer.
        index: the place of the layer in `model.layers`; None inside nested models.
        parameters: the number of its weights.
        is_group: whether it is made of other layers.
        inbound: the addresses of the taps that it computes from.
        tensors: its values by site.
        origins: of a group, for each output, the addresses of the taps inside that the output comes from.
        data_format: `channels_last` or `channels_first`, of a layer that declares it; None if nothing tells it.
        go_backwards: whether the layer begins with the last step of time, and gives its steps in this order.
    """

    path: tuple[str, ...]
    call: int
    type: str
    index: int | None
    parameters: int
    is_group: bool
    inbound: tuple[str, ...]
    tensors: dict[Site, tuple[Tensor, ...]]
    origins: tuple[tuple[str, ...], ...] = ()
    data_format: str | None = None
    go_backwards: bool = False

    def __hash__(self) -> int:
        return hash((self.path, self.call))

    @cached_property
    def taps(self) -> tuple["Tap", ...]:
        """Every value that can be read at this call, outputs first."""
        return tuple(
            Tap(Address(self.path, self.call, number, site), self, tensor)
            for site, tensors in self.tensors.items()
            for number, tensor in enumerate(tensors)
        )


@dataclass(frozen=True)
class Tap:
    """One value inside a network that can be fetched, fed, or differentiated by.

    Taps are data: one that was sent to another process and back equals the first.
    """

    place: Address
    layer: LayerCall = field(repr=False)
    tensor: Tensor

    def __hash__(self) -> int:
        # Taps are keys of many small dictionaries. A text keeps its hash; that of all fields takes ten times as long.
        return hash(self.address)

    @cached_property
    def address(self) -> str:
        """The canonical address, as clients write it."""
        return str(self.place)

    @property
    def shape(self) -> Shape:
        """Axes after the batch axis; None where the size depends on the input."""
        return self.tensor.shape

    @cached_property
    def dtype(self) -> np.dtype[np.generic]:
        """The dtype the values are delivered in: bfloat16, which numpy lacks, is delivered as float32."""
        return np.dtype("float32" if self.tensor.dtype == "bfloat16" else self.tensor.dtype)

    @cached_property
    def axes(self) -> tuple[AxisName, ...]:
        """What each axis of `shape` counts."""
        return self.tensor.axes or tuple("unknown" for _ in self.shape)

    @cached_property
    def channel_axis(self) -> int | None:
        """The axis of `shape` that counts channels (features), or heads where nothing counts channels.

        Where that is not known, it is the last axis, as Keras has it. None if nothing is counted but places, and for a single
        number an image.
        """
        for name in ("channels", "heads"):
            if name in self.axes:
                return self.axes.index(name)
        return len(self.axes) - 1 if len(self.axes) == 1 or "unknown" in self.axes else None

    @property
    def bytes_per_image(self) -> int | None:
        """Bytes of the values of one image; None when the shape depends on the input."""
        sizes = [size for size in self.shape if size is not None]
        return prod(sizes) * self.dtype.itemsize if len(sizes) == len(self.shape) else None
