"""Activations without a model: taps made by hand, and strategies for values of every kind."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from layerscope.graph.taps.addresses import Address
from layerscope.graph.taps.tap import LayerCall, Tap, Tensor
from layerscope.tensors.activations import Activation, Activations

DTYPES = ("float16", "float32", "float64", "bool", "int8", "int32", "int64", "uint8", "uint16", "uint64")

NAMES = st.text(min_size=1, max_size=8).filter(lambda name: name.isprintable())


_PLACES = ("unknown", "depth", "height", "width")


def axes_of(rank, *, channels_first=False):
    """The axes of maps of any number of axes."""
    places = _PLACES[len(_PLACES) - max(0, rank - 1) :]
    channels = ("channels",) * min(rank, 1)
    return (*channels, *places) if channels_first else (*places, *channels)


def make_tap(shape, dtype="float32", *, path=("conv1",), channels_first=False, call=0, site="output"):
    axes = axes_of(len(shape), channels_first=channels_first)
    tensor = Tensor("conv1/output:0", tuple(shape), dtype, axes=axes)
    layer = LayerCall(tuple(path), call, "Conv2D", 0, 10, False, (), {site: (tensor,)})
    return Tap(Address(tuple(path), call, 0, site), layer, tensor)


def make_activation(values, **options):
    values = np.asarray(values)
    return Activation.of(make_tap(values.shape[1:], values.dtype.name, **options), values)


def make_activations(*several, images=("sha256-00",), warnings=()):
    return Activations({each.tap.address: each for each in several}, images, warnings)


@st.composite
def arrays(draw, dtypes=DTYPES, min_rank=0, max_rank=4, min_side=0, max_side=4):
    """(batch, ...) of random bits: NaN with payloads, infinities, -0.0 and subnormal numbers are common."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    sides = draw(st.lists(st.integers(min_side, max_side), min_size=min_rank, max_size=max_rank))
    shape = (draw(st.integers(1, 3)), *sides)
    if dtype.kind != "f":
        return draw(numpy_strategies.arrays(dtype, shape))
    words = draw(numpy_strategies.arrays(f"u{dtype.itemsize}", shape))
    specials = np.array([np.nan, np.inf, -np.inf, -0.0], dtype)
    chosen = draw(numpy_strategies.arrays(np.uint8, shape, elements=st.integers(0, 7)))
    return np.where(chosen < 4, specials[chosen % 4], words.view(dtype))


@st.composite
def several_activations(draw, **options):
    """One to four layers of different names and dtypes, for the same images."""
    paths = draw(
        st.lists(st.lists(NAMES, min_size=1, max_size=2).map(tuple), min_size=1, max_size=4, unique=True)
    )
    return make_activations(*(make_activation(draw(arrays(**options)), path=path) for path in paths))
