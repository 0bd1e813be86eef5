"""Target layers and inputs: over which layer or input an attribution map can lie, and which one is the default."""

from collections.abc import Callable, Sequence

from layerscope.attribution.embeddings import embeddings_of, takes_tokens
from layerscope.attribution.method import Method
from layerscope.errors import NoPicture, NotDifferentiable, OptionInvalid
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.geometry import PLANE, MapGeometry, has_extent, map_geometry, why_no_geometry
from layerscope.graph.taps.selectors import read_selectors, require_one
from layerscope.graph.taps.tap import Tap


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


def require_places_of_input(layer: Tap, given: Tap) -> None:
    """Check that a map over a layer can be resized to an input, or to what its tokens are embedded as.

    Raises:
        NoPicture: the layer has places that the input does not have.
    """
    places, of_input = layer_geometry(layer).places, varied_geometry(given).places
    if not set(places) <= set(of_input):
        message = (
            f"The map of {layer.address} counts {', '.join(places)}, and input {given.address!r} counts"
            f" {', '.join(of_input)}: nobody knows which part of the input a part of the map is."
        )
        raise NoPicture(message, layer=layer.address, input=given.address)


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


def default_layer(model: ModelDescription, target: Tap, depends: Callable[[Tap, Tap], bool]) -> Tap:
    """The last layer with map geometry that a target is computed from; of those with the places of the input, if there are any.

    Args:
        model: the model.
        target: the tap that the score is read from.
        depends: tells whether its first argument is computed from its second.

    Raises:
        NotDifferentiable: there is none.
    """
    ends = {target.tensor.name, *(tap.tensor.name for _, tap in model.outputs)}
    ends |= {tap.tensor.name for tap in model.taps.select(["input"])}
    found = [
        tap
        for tap in reversed(model.taps.outputs())
        if why_no_map(tap) is None
        and why_unread(tap) is None
        and has_extent(tap)
        and tap.tensor.name not in ends
        and depends(target, tap)
    ]
    if not found:
        message = (
            f"{target.address} is computed from no layer that has places, such as pixels or steps of time."
        )
        raise NotDifferentiable(message, target=target.address)
    over_input = map_geometry(model.taps.select(["input"])[_default_input(model)])
    places = PLANE if over_input is None else over_input.places
    return next((tap for tap in found if layer_geometry(tap).places == places), found[0])


def select_input(model: ModelDescription, name: str | None) -> int:
    """The number of the input with this name; without a name, the first that takes images, or has places.

    Raises:
        NoPicture: the input is nothing for a map to lie over.
        OptionInvalid: there is no such input.
    """
    names = [each.name for each in model.inputs]
    if name is not None and name not in names:
        message = f"{model.name} has no input {name[:80]!r}: name one of {', '.join(names)}."
        raise OptionInvalid(message, option="input", inputs=names)
    index = names.index(name) if name is not None else _default_input(model)
    input_geometry(model.taps.select(["input"])[index])
    return index


def varied_geometry(tap: Tap) -> MapGeometry:
    """How the values that a method varies are a map: those of an input, or what its tokens are embedded as.

    Raises:
        NoPicture: they are none.
    """
    return layer_geometry(tap) if tap.layer.type != "InputLayer" else input_geometry(tap)


def input_geometry(tap: Tap) -> MapGeometry:
    """How the values of an input are a map.

    A vector is one itself: a number for each feature. So is an input of two axes of which nobody knows what they count: a number
    for each value.

    Raises:
        NoPicture: they are none.
    """
    reason = _why_no_input(tap)
    if reason is not None:
        message = f"Input {tap.address!r} is nothing for a map to lie over. {reason}"
        raise NoPicture(message, input=tap.address, shape=list(tap.shape), axes=list(tap.axes))
    geometry = map_geometry(tap)
    if geometry is not None:
        return geometry
    return (
        MapGeometry(("channels",), None, ("channels",)) if len(tap.shape) == 1 else MapGeometry(PLANE, None)
    )


def _why_no_input(tap: Tap) -> str | None:
    is_plain = tap.axes == ("channels",) or len(tap.shape) == len(PLANE)
    return None if is_plain else why_no_geometry(tap.axes, tap.tensor.grid)


def _default_input(model: ModelDescription) -> int:
    taps = list(enumerate(model.taps.select(["input"])))
    images = [index for index, each in enumerate(model.inputs) if model.preprocessing[each.name] is not None]
    maps = [index for index, tap in taps if map_geometry(tap) is not None and not takes_tokens(tap)]
    others = [index for index, tap in taps if _why_no_input(tap) is None and not takes_tokens(tap)]
    return next(iter([*images, *maps, *_by_vocabulary(model), *others]), 0)


def _by_vocabulary(model: ModelDescription) -> Sequence[int]:
    """The inputs of tokens, that with the largest table of vectors first: segments and positions have small ones."""
    sizes = {
        index: max((each.layer.parameters for each in embeddings_of(model, tap)), default=0)
        for index, tap in enumerate(model.taps.select(["input"]))
        if takes_tokens(tap)
    }
    return sorted(sizes, key=lambda index: -sizes[index])
