"""The metadata of the server: its name, its version and the extensions of the protocol."""

from fastapi import APIRouter

from layerscope import __version__
from layerscope_api.context.scopes import INFER
from layerscope_api.inference_protocol.schemas import ServerMetadata
from layerscope_api.schemas.openapi import errors

router = APIRouter(prefix="/v2", tags=["inference protocol"], dependencies=[INFER])

_EXTENSIONS = [
    "binary_tensor_data",
    "parameters",
    "model_repository",
    "model_configuration",
    "statistics",
    "schedule_policy",
    "layer_outputs",
    "image_input",
    "rendered_outputs",
]


@router.get("", responses=errors())
async def server_metadata() -> ServerMetadata:
    """The name, the version and the extensions of the protocol."""
    return ServerMetadata(name="layerscope", version=__version__, extensions=_EXTENSIONS)
