"""The JSON of the protocol. Its clients may get more keys than these."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ServerMetadata(BaseModel):
    """What the service is."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """An input or an output; -1 in its shape is an axis of any size."""

    name: str
    datatype: str | None
    shape: list[int]


class ModelMetadata(BaseModel):
    """A model's inputs and outputs."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelReadiness(BaseModel):
    """Whether a model can be asked."""

    name: str
    ready: bool


class TensorConfiguration(BaseModel):
    """An input or an output, without the batch axis."""

    name: str
    data_type: str
    dims: list[int]


class ModelConfiguration(BaseModel):
    """A model as Triton's model configuration describes it."""

    name: str
    platform: str
    backend: str
    version_policy: dict[str, Any]
    max_batch_size: int
    input: list[TensorConfiguration]
    output: list[TensorConfiguration]


class RepositoryModel(BaseModel):
    """One version of one model, and why it is not ready."""

    name: str
    version: str
    state: str
    reason: str


class RepositoryChange(BaseModel):
    """What was done with a model: its versions that were loaded, or unloaded."""

    name: str
    versions: list[str]


class ModelStatistics(BaseModel):
    """Triton's `model_stats`, one item a version."""

    model_config = ConfigDict(protected_namespaces=())

    model_stats: list[dict[str, Any]]


class RequestInput(BaseModel):
    """An input: its values in JSON, or with `binary_data_size` in its parameters behind the JSON."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class RequestOutput(BaseModel):
    """An output that is wanted: one of the model's own, a layer's address, or that and `@png`."""

    name: str
    parameters: dict[str, Any] = Field(
        {}, description="`binary_data`, and the options of activations or pictures"
    )


class InferenceRequestBody(BaseModel):
    """A request for inference."""

    id: str | None = None
    inputs: list[RequestInput]
    outputs: list[RequestOutput] | None = None
    parameters: dict[str, Any] = Field(
        {}, description="of all outputs; also `binary_data_output`, `seed`, and `timeout` in microseconds"
    )


class ResponseOutput(BaseModel):
    """An output: its values in JSON, flat, or behind it."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class InferenceResponseBody(BaseModel):
    """An answer. NaN and infinities are null."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, Any] | None = Field(
        None, description="`seed`, of a model that draws random numbers"
    )
    outputs: list[ResponseOutput]
