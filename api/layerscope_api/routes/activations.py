"""Activations: the tensors of the selected layers."""

from dataclasses import replace
from functools import cached_property

from fastapi import APIRouter

from layerscope.encode import Format, encode
from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope.tensors.statistics import statistics_of
from layerscope_api.context.scopes import INFER
from layerscope_api.responses.content_negotiation import format_for
from layerscope_api.responses.respond import ResponseBody, ascii_address
from layerscope_api.routes.endpoint import Endpoint
from layerscope_api.schemas.openapi import RUN_ERRORS, TENSORS
from layerscope_api.schemas.options import ActivationOptions
from layerscope_api.schemas.results import ActivationsBody
from layerscope_api.serializers.activations import activation_bytes, activation_metadata

router = APIRouter(prefix="/v1/models", tags=["activations"], dependencies=[INFER])


class Activations(Endpoint[ActivationOptions]):
    """The activations of layers as JSON, .npy, .npz or safetensors."""

    options_model = ActivationOptions

    @cached_property
    def _format(self) -> Format:
        return format_for(self.accept, self.options.format)

    def query(self) -> Query:
        """The selected layers."""
        return self.query_of(layers=self.options.layers)

    def admit(self, plan: QueryPlan) -> int:
        """Check that the format can carry the tensors."""
        return activation_bytes(plan.specs, self.options, self._format, self.limits)

    def make(self, result: Result) -> ResponseBody:
        """Reduce the values as the options say, and encode them. Statistics are those of all values."""
        whole = result.activations
        selected = whole.items() if self.options.statistics else ()
        statistics = {address: statistics_of(each) for address, each in selected}
        metadata = replace(activation_metadata(result.model, self.options), statistics=statistics)
        reduced = whole.reduced(self.options.tensor_options())
        encoded = encode(reduced, self._format, metadata, self.limits)
        headers = {"X-Layer": ascii_address(next(iter(reduced)))} if self._format == "npy" else {}
        return ResponseBody(encoded.buffers, encoded.media_type, result.model, whole, headers)


Activations.register(
    router,
    "/{model}/activations",
    "activations",
    get="The activations of stored images.",
    post="The activations of the images in the body.",
    response_model=ActivationsBody,
    responses={**TENSORS, **RUN_ERRORS},
)
