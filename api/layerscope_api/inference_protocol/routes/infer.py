"""The inference route: any layer as an output, as a tensor or as pictures."""

from fastapi import APIRouter, Request, Response

from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ServiceDependency
from layerscope_api.inference_protocol.compression import accepted_encoding, decompress
from layerscope_api.inference_protocol.infer import Inference
from layerscope_api.inference_protocol.models import ProtocolModel
from layerscope_api.inference_protocol.openapi import HEADER_LENGTH, INFER_BODY, INFER_RESPONSES, model_paths
from layerscope_api.inference_protocol.request import join_aligned, read_inference_request
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.respond import Answer, send

router = APIRouter(prefix="/v2/models", tags=["inference protocol"], dependencies=[INFER])


@model_paths(
    router.post,
    "/infer",
    response_class=Response,
    responses=INFER_RESPONSES,
    extra={"requestBody": INFER_BODY},
)
async def infer(request: Request, service: ServiceDependency, reference: str = ProtocolModel) -> Response:
    """Run a model and answer with the outputs asked for."""
    chunks = [chunk async for chunk in request.stream()]
    header = request.headers.get(HEADER_LENGTH)
    encoding = accepted_encoding(request.headers.get("accept-encoding", ""))

    def compute(execution: Execution) -> Answer:
        body = decompress(chunks, request.headers.get("content-encoding", ""), service.limits.body_bytes)
        if body is not chunks:
            execution.account.receive(2 * sum(map(len, body)))
        parsed = read_inference_request(join_aligned(body, header), header, service.limits)
        images = service.named_images(execution.account)
        return Inference(service, reference, parsed, encoding, images).handle(service, execution)

    return await send(request, service, compute)
