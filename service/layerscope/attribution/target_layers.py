"""Target layers and inputs: over which layer or input an attribution map can lie, and which one is the default."""

from collections.abc import Callable

from layerscope.attribution.method import Method
from layerscope.errors import NoPicture, NotDifferentiable, OptionInvalid
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.selectors import read_selectors, require_one
from layerscope.graph.taps.tap import Tap


def why_no_map(tap: Tap) -> str | None:
    """Why a layer has no feature maps to make a map from; None if it has, judged by its shape and dtype."""
    if len(tap.shape) != 3:
        return f"Its values have {len(tap.shape)} axes an image, not rows, columns and channels."
    if 0 in tap.shape:
        return "It has no values."
    if tap.dtype.kind != "f":
        return f"Its values are {tap.dtype.name}, by which nothing can be differentiated."
    if not tap.tensor.batched or tap.tensor.mixed:
        return "Its values are not those of one image."
    return None


def why_no_attribution(model: ModelDescription, method: Method, tap: Tap) -> str | None:
    """Why a method that makes maps of layers cannot make one of a tap; None if it can, for one output at least."""
    obstacles = model.obstacles
    reason = why_no_map(tap) or obstacles.maps.get(tap.address)
    if reason is not None or not method.has_target:
        return reason
    return (obstacles.gradients if method.is_gradient else obstacles.scores).get(tap.address)


def select_layer(model: ModelDescription, selector: str) -> Tap:
    """The only layer that a selector selects.

    Raises:
        LayerscopeError: it is blank or selects none, see `read_selectors` and `TapIndex.select`.
        NoPicture: no map can be made of it.
        OptionInvalid: it selects several.
    """
    taps = model.taps.select(read_selectors([selector]))
    require_one(selector, [tap.address for tap in taps])
    reason = why_no_map(taps[0])
    if reason is not None:
        shape = list(taps[0].shape)
        raise NoPicture(
            f"No map can be made of {taps[0].address}: {reason}", layer=taps[0].address, shape=shape
        )
    return taps[0]


def last_spatial_layer(model: ModelDescription, target: Tap, depends: Callable[[Tap, Tap], bool]) -> Tap:
    """The last layer with rows and columns that a target is computed from.

    Args:
        model: the model.
        target: the tap that the score is read from.
        depends: tells whether its first argument is computed from its second.

    Raises:
        NotDifferentiable: there is none.
    """
    ends = {target.tensor.name, *(tap.tensor.name for _, tap in model.outputs)}
    ends |= {tap.tensor.name for tap in model.taps.select(["input"])}
    for tap in reversed(model.taps.outputs()):
        if (
            why_no_map(tap) is None
            and _has_spatial_extent(tap)
            and tap.tensor.name not in ends
            and depends(target, tap)
        ):
            return tap
    message = f"{target.address} is computed from no layer with rows and columns; name a layer, or explain the input."
    raise NotDifferentiable(message, target=target.address)


def select_input(model: ModelDescription, name: str | None) -> int:
    """The number of the input with this name; without a name, the first that takes images, or has rows and columns.

    Raises:
        NoPicture: the input has no rows and columns.
        OptionInvalid: there is no such input.
    """
    names = [each.name for each in model.inputs]
    if name is not None and name not in names:
        message = f"{model.name} has no input {name[:80]!r}: name one of {', '.join(names)}."
        raise OptionInvalid(message, option="input", inputs=names)
    index = names.index(name) if name is not None else _default_input(model)
    chosen = model.inputs[index]
    if len(chosen.shape) not in {2, 3}:
        message = f"Input {chosen.name!r} has no rows and columns for a map to lie over."
        raise NoPicture(message, input=chosen.name, shape=list(chosen.shape))
    return index


def input_channel_axis(model: ModelDescription, index: int) -> int | None:
    """The axis of channels in one image of an input; None if it has only rows and columns."""
    each = model.inputs[index]
    if len(each.shape) == 2:
        return None
    preprocessing = model.preprocessing[each.name]
    return 0 if preprocessing is not None and preprocessing.layout == "nchw" else 2


def _default_input(model: ModelDescription) -> int:
    inputs = list(enumerate(model.inputs))
    images = [index for index, each in inputs if model.preprocessing[each.name] is not None]
    maps = [index for index, each in inputs if len(each.shape) == 3]
    return next(iter([*images, *maps]), 0)


def _has_spatial_extent(tap: Tap) -> bool:
    """Whether the maps of a layer are larger than one value: behind global pooling there is nothing to see."""
    sizes = [size for axis, size in enumerate(tap.shape) if axis != tap.channel_axis]
    return any(size != 1 for size in sizes)
