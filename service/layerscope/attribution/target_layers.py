"""Target layers and inputs: over which layer or input an attribution map can lie, and which one is the default."""

from collections.abc import Callable

from layerscope.attribution.method import Method
from layerscope.errors import NoPicture, NotDifferentiable, OptionInvalid
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.geometry import MapGeometry, has_extent, map_geometry, why_no_geometry
from layerscope.graph.taps.selectors import read_selectors, require_one
from layerscope.graph.taps.tap import AxisName, Tap

_MATRIX: tuple[AxisName, ...] = ("height", "width")


def why_no_map(tap: Tap) -> str | None:
    """Why a layer has no feature maps to make a map from; None if it has, judged by its axes, shape and dtype."""
    reason = why_no_geometry(tap.axes, tap.tensor.grid)
    if reason is not None:
        return reason
    if 0 in tap.shape:
        return "It has no values."
    if tap.dtype.kind != "f":
        return f"Its values are {tap.dtype.name}, by which nothing can be differentiated."
    if not tap.tensor.batched or tap.tensor.mixed:
        return "Its values are not those of one image."
    return None


def why_unread(tap: Tap) -> str | None:
    """Why no output depends on the map of a layer, though one depends on the layer; None if one may."""
    grid = tap.tensor.grid
    if grid is None or grid.is_read:
        return None
    return "No output is computed from the tokens that are its map, but from others alone, such as a class token."


def layer_geometry(tap: Tap) -> MapGeometry:
    """How the values of a layer are maps.

    Raises:
        NoPicture: they are none.
    """
    geometry, reason = map_geometry(tap), why_no_map(tap)
    if geometry is None or reason is not None:
        message = f"No map can be made of {tap.address}: {reason}"
        raise NoPicture(message, layer=tap.address, shape=list(tap.shape), axes=list(tap.axes))
    return geometry


def why_no_attribution(model: ModelDescription, method: Method, tap: Tap) -> str | None:
    """Why a method that makes maps of layers cannot make one of a tap; None if it can, for one output at least."""
    obstacles = model.obstacles
    reason = why_no_map(tap) or obstacles.maps.get(tap.address)
    if reason is not None or not method.has_target:
        return reason
    return why_unread(tap) or (obstacles.gradients if method.is_gradient else obstacles.scores).get(
        tap.address
    )


def select_layer(model: ModelDescription, selector: str) -> Tap:
    """The only layer that a selector selects.

    Raises:
        LayerscopeError: it is blank or selects none, see `read_selectors` and `TapIndex.select`.
        NoPicture: no map can be made of it.
        OptionInvalid: it selects several.
    """
    taps = model.taps.select(read_selectors([selector]))
    require_one(selector, [tap.address for tap in taps])
    layer_geometry(taps[0])
    return taps[0]


def last_spatial_layer(model: ModelDescription, target: Tap, depends: Callable[[Tap, Tap], bool]) -> Tap:
    """The last layer with map geometry that a target is computed from.

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
            and why_unread(tap) is None
            and has_extent(tap)
            and tap.tensor.name not in ends
            and depends(target, tap)
        ):
            return tap
    message = f"{target.address} is computed from no layer that is a map over an image; name a layer, or explain the input."
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
    input_geometry(model.taps.select(["input"])[index])
    return index


def input_geometry(tap: Tap) -> MapGeometry:
    """How the values of an input are a map. An input of two axes is one itself, whatever these count.

    Raises:
        NoPicture: they are none.
    """
    if len(tap.shape) == len(_MATRIX):
        return MapGeometry(_MATRIX, None)
    geometry = map_geometry(tap)
    if geometry is None:
        message = f"Input {tap.address!r} is nothing for a map to lie over. {why_no_geometry(tap.axes, tap.tensor.grid)}"
        raise NoPicture(message, input=tap.address, shape=list(tap.shape), axes=list(tap.axes))
    return geometry


def _default_input(model: ModelDescription) -> int:
    taps = list(enumerate(model.taps.select(["input"])))
    images = [index for index, each in enumerate(model.inputs) if model.preprocessing[each.name] is not None]
    maps = [index for index, tap in taps if map_geometry(tap) is not None]
    return next(iter([*images, *maps]), 0)
