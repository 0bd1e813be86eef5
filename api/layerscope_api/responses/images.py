"""Pictures as answers: their format, and what the headers say of them."""

from collections.abc import Sequence

from fastapi import Request

from layerscope.execution.interface import Attribution, Result
from layerscope.render import MEDIA_TYPES, Picture, PictureFormat
from layerscope_api.responses.content_negotiation import quality_of
from layerscope_api.responses.respond import Answer, ascii_address


def picture_format(request: Request) -> PictureFormat:
    """WebP for who says in Accept that they would rather have it than PNG; who likes both equally gets PNG."""
    accept = request.headers.get("accept")
    wishes = {form: quality_of(media_type, accept) for form, media_type in MEDIA_TYPES.items()}
    return "webp" if wishes["webp"] > wishes["png"] else "png"


def picture_answer(picture: Picture, result: Result | Attribution, addresses: Sequence[str]) -> Answer:
    """The picture of layers, and the values its colours span. A single layer is named in the headers."""
    headers = {
        "X-Value-Min": f"{picture.value_min:.9g}",
        "X-Value-Max": f"{picture.value_max:.9g}",
        "Vary": "Accept",
    }
    if len(addresses) == 1:
        headers["X-Layer"] = ascii_address(addresses[0])
    return Answer([picture.data], picture.media_type, result.model, result.activations, headers)
