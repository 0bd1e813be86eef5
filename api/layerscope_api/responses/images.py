"""Responses with a picture: its format, and the headers with the values of its colours."""

from collections.abc import Sequence

from layerscope.execution.interface import Attribution, Result
from layerscope.graph.model import ModelDescription
from layerscope.render import MEDIA_TYPES, Picture, PictureFormat
from layerscope.tensors.activations import Activations
from layerscope_api.responses.content_negotiation import quality_of
from layerscope_api.responses.respond import ResponseBody, ascii_address


def picture_format(accept: str | None) -> PictureFormat:
    """WebP if the Accept header prefers it to PNG; PNG if both have the same quality value."""
    quality = {form: quality_of(media_type, accept) for form, media_type in MEDIA_TYPES.items()}
    return "webp" if quality["webp"] > quality["png"] else "png"


def encoded_picture_body(
    data: bytes, form: PictureFormat, model: ModelDescription, activations: Activations
) -> ResponseBody:
    """The body of a picture that has no range of colours to name."""
    return ResponseBody([data], MEDIA_TYPES[form], model, activations, {"Vary": "Accept"})


def picture_body(picture: Picture, result: Result | Attribution, addresses: Sequence[str]) -> ResponseBody:
    """The body of a picture of layers. The headers name the range of its colours, and the layer if there is only one."""
    headers = {
        "X-Value-Min": f"{picture.value_min:.9g}",
        "X-Value-Max": f"{picture.value_max:.9g}",
        "Vary": "Accept",
    }
    if len(addresses) == 1:
        headers["X-Layer"] = ascii_address(addresses[0])
    return ResponseBody([picture.data], picture.media_type, result.model, result.activations, headers)
