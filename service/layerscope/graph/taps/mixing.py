"""Layers that mix the images of a batch, or do not keep them apart: what a caller must know of them."""

from collections.abc import Sequence

from layerscope.graph.taps.addresses import encode_path
from layerscope.graph.taps.tap import LayerCall


def mixing_warnings(calls: Sequence[LayerCall]) -> Sequence[str]:
    """A sentence that names the layer where a model begins to mix images; none if it keeps them apart.

    Args:
        calls: of all layers of the model, in graph order.
    """
    paths = [call.path for call in _mixing(calls)]
    # A model in which a layer mixes images begins to mix them, too.
    innermost = [path for path in paths if not any(_is_inside(other, path) for other in paths)]
    if not innermost:
        return ()
    warning = (
        f"Layer {encode_path(innermost[0])!r} mixes the images of a batch, or does not keep them apart: each image runs by"
        " itself, and no value depends on the other images of a request."
    )
    return (warning,)


def _mixing(calls: Sequence[LayerCall]) -> list[LayerCall]:
    mixed = {tap.address for call in calls for tap in call.taps if tap.tensor.mixed}
    return [
        call
        for call in calls
        if any(tensor.mixed for tensor in call.tensors["output"])
        and not any(tensor.mixed for tensor in call.tensors.get("input", ()))
        and not mixed.intersection(call.inbound)
    ]


def _is_inside(path: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return len(path) > len(other) and path[: len(other)] == other
