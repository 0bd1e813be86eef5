"""Layers whose axes their operations do not tell: loops over time, and attention, whose kernels make an axis of heads."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from layerscope.graph.axes.dimension import (
    BATCH,
    CHANNELS,
    HEIGHT,
    TIME,
    UNKNOWN,
    WIDTH,
    Dimension,
    Dimensions,
)
from layerscope.graph.taps.tap import AxisName, LayerCall

_RECURRENT = frozenset({"Bidirectional", "GRU", "LSTM", "RNN", "SimpleRNN"})
_CONVOLUTIONS: Mapping[str, Dimensions] = {
    "ConvLSTM1D": (WIDTH,),
    "ConvLSTM2D": (HEIGHT, WIDTH),
    "ConvLSTM3D": (Dimension("depth"), HEIGHT, WIDTH),
}
"""By the class of the layer: the places of its maps."""

_WITH_HEADS = (["channels", "tokens", "unknown"], ["tokens", "tokens", "unknown"])

Declared = Callable[[Dimensions | None, int, Dimensions | None], Dimensions | None]
"""Gives the axes of an output from those of the layer's first input, the number of axes, and what was followed so far.

All are with the batch axis.
"""


def declared_outputs(calls: Iterable[LayerCall]) -> dict[str, tuple[str | None, Declared]]:
    """By tensor, for outputs of layers that loop over time: the tensor of the first input, and what gives the axes."""
    found: dict[str, tuple[str | None, Declared]] = {}
    for call in calls:
        rule: Declared | None = None
        if call.type in _RECURRENT:
            rule = _backwards(_recurrent) if call.go_backwards else _recurrent
        elif call.type == "TimeDistributed":
            rule = _distributed
        elif call.type in _CONVOLUTIONS:
            rule = _convolutional(_of_map(call))
            rule = _backwards(rule) if call.go_backwards else rule
        if rule is not None:
            first = call.tensors.get("input", ())[:1]
            source = first[0].name if first else None
            found |= {tensor.name: (source, rule) for tensor in call.tensors["output"]}
    return found


def declared_inputs(calls: Iterable[LayerCall]) -> dict[str, Dimensions]:
    """By tensor, the axes that layers which go through time take their first input to have; `unknown` where they take any."""
    found: dict[str, Dimensions] = {}
    for call in calls:
        for tensor in call.tensors.get("input", ())[:1]:
            rank = 1 + len(tensor.shape)
            steps = (BATCH, TIME, *(_of_map(call) if call.type in _CONVOLUTIONS else (CHANNELS,)))
            if call.type in {*_RECURRENT, *_CONVOLUTIONS} and rank == len(steps):
                found[tensor.name] = steps
            elif call.type == "TimeDistributed":
                found[tensor.name] = (BATCH, TIME, *(UNKNOWN,) * (rank - 2))
    return found


def _steps(own: Dimensions | None) -> Dimension:
    return own[1] if own is not None and own[1].name in {"time", "tokens", "height", "width"} else TIME


def _recurrent(own: Dimensions | None, rank: int, _: Dimensions | None) -> Dimensions | None:
    if rank == 2:
        return BATCH, CHANNELS
    return (BATCH, _steps(own), CHANNELS) if rank == 3 else None


def _backwards(rule: Declared) -> Declared:
    """Of a layer that begins with the last step, and gives its steps in this order, as one inside of `Bidirectional`."""

    def axes(own: Dimensions | None, rank: int, followed: Dimensions | None) -> Dimensions | None:
        found = rule(own, rank, followed)
        has_steps = found is not None and rank > 2 and found[1] == _steps(own)
        return (BATCH, found[1].reversed(), *found[2:]) if found is not None and has_steps else found

    return axes


def _distributed(own: Dimensions | None, _: int, followed: Dimensions | None) -> Dimensions | None:
    """Its first axis counts steps; the others are as its operations make them."""
    return None if followed is None else (BATCH, _steps(own), *followed[2:])


def _of_map(call: LayerCall) -> Dimensions:
    """The axes of one step of a convolution over time, as its data format has them; `unknown` if nothing tells it."""
    places = _CONVOLUTIONS[call.type]
    if call.data_format == "channels_last":
        return (*places, CHANNELS)
    return (CHANNELS, *places) if call.data_format == "channels_first" else (UNKNOWN,) * (len(places) + 1)


def _convolutional(of_map: Dimensions) -> Declared:
    def axes(own: Dimensions | None, rank: int, _: Dimensions | None) -> Dimensions | None:
        return (BATCH, *of_map) if rank == 1 + len(of_map) else (BATCH, _steps(own), *of_map)

    return axes


def axes_of_scores(axes: Sequence[AxisName]) -> Sequence[AxisName]:
    """The axes of attention scores: a softmax is over the keys, which are last, and beside heads the queries are left.

    Args:
        axes: of the scores, as followed. More than three, as of attention within windows, stay as they are.
    """
    if len(axes) == 2:
        return "query", "key"
    if len(axes) == 3:
        is_query_first = axes[0] not in {"channels", "heads", "unknown"}
        return ("query", "heads", "key") if is_query_first else ("heads", "query", "key")
    return axes


def with_heads(
    call: LayerCall, kinds: Mapping[tuple[str, ...], str], axes: Sequence[AxisName]
) -> Iterator[AxisName]:
    """The axes of a value inside an attention layer: beside tokens and channels, its kernels make one axis, of heads.

    Args:
        call: of a layer.
        kinds: the types of all layers by path.
        axes: of one of its values.
    """
    around = (kinds.get(call.path[:depth], "") for depth in range(1, len(call.path)))
    counted = sorted("tokens" if name == "time" else name for name in axes)
    has_heads = counted in _WITH_HEADS and any("Attention" in kind for kind in around)
    for name in axes:
        yield "heads" if has_heads and name == "unknown" else name
