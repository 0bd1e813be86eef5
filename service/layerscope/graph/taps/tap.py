"""Taps: the values of a traced model. There is one `LayerCall` for each call of a layer, one `Tap` for each value at it."""

from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np

from layerscope.graph.taps.addresses import Address, Site

Shape = tuple[int | None, ...]
"""Axes after the batch axis; None where the size depends on the input."""


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
    """

    name: str
    shape: Shape
    dtype: str
    batched: bool = True
    mixed: bool = False


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
        channels_first: whether its channels are the first axis behind the batch axis.
        inbound: the addresses of the taps that it computes from.
        tensors: its values by site.
        origins: of a group, for each output, the addresses of the taps inside that the output comes from.
    """

    path: tuple[str, ...]
    call: int
    type: str
    index: int | None
    parameters: int
    is_group: bool
    channels_first: bool
    inbound: tuple[str, ...]
    tensors: dict[Site, tuple[Tensor, ...]]
    origins: tuple[tuple[str, ...], ...] = ()

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

    @property
    def channel_axis(self) -> int | None:
        """The axis of `shape` that counts channels (features); None for a single number an image."""
        if not self.shape:
            return None
        return 0 if self.layer.channels_first and len(self.shape) > 1 else len(self.shape) - 1

    @property
    def bytes_per_image(self) -> int | None:
        """Bytes of the values of one image; None when the shape depends on the input."""
        sizes = [size for size in self.shape if size is not None]
        return prod(sizes) * self.dtype.itemsize if len(sizes) == len(self.shape) else None
