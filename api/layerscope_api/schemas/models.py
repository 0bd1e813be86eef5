"""The JSON that the service answers with about models: what they are, and what was changed."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ModelIdentity(BaseModel):
    """Which version of which model, and the digest of its file and declaration."""

    name: str
    version: int
    digest: str


AXES = (
    "height, width, depth, time, tokens, query, key, heads or channels; unknown where the graph does not tell"
)


class InputBody(BaseModel):
    """An input of a model. `shape` is without the batch axis; null where any size will do."""

    name: str
    shape: list[int | None]
    axes: list[str] = Field(description=f"what each axis of `shape` counts: {AXES}")
    dtype: str
    preprocessing: dict[str, Any] | None
    features: list[str] | None = Field(description="names of the numbers of a vector, if they are declared")


class OutputBody(BaseModel):
    """An output of a model and the address of the tap that holds it."""

    name: str
    address: str
    shape: list[int | None]
    axes: list[str] = Field(description=f"what each axis of `shape` counts: {AXES}")
    dtype: str


class VersionBody(BaseModel):
    """One version in the list of models."""

    version: int
    state: str
    reason: str | None
    digest: str | None
    memory_bytes: int | None
    opened_with: str | None = Field(description="the package that opened its file, with its version")
    inputs: list[InputBody] | None


class ModelRow(BaseModel):
    """One model in the list of models."""

    name: str
    labels: dict[str, int]
    versions: list[VersionBody]


class ModelList(BaseModel):
    """Every model, whatever its state."""

    models: list[ModelRow]
    trouble: str | None = Field(
        description="why these may be others than those of the place that they are fetched from, null if they are not"
    )


class TokenizerBody(BaseModel):
    """How text becomes the inputs of a model."""

    kind: str = Field(description="`tokenizers`, `word_index` or `text_vectorization`")
    vocabulary: int = Field(description="one more than the highest id")
    inputs: dict[str, str] = Field(description="what each input takes: `ids`, `mask` or `segments`")
    length: int | str | None = Field(
        description="tokens of every text; `longest` for those of the longest of a request; null if texts are not padded"
    )
    padding: str = Field(description="where short texts are padded: `pre` or `post`")
    padding_id: int
    truncation: str | None = Field(description="where long texts are cut; null if they are refused")


class ModelBody(ModelIdentity):
    """Everything about one loaded version."""

    state: str
    labels: list[str]
    inputs: list[InputBody]
    outputs: list[OutputBody]
    classes: list[str] | None
    parameters: int
    memory_bytes: int
    layers: int
    opened_with: str = Field(
        description="the package that opened its file, with its version: `keras`, `tf-keras` (Keras 2), or `tensorflow` for"
        " a SavedModel whose graph is read without Keras",
        examples=["keras 3.15.1", "tf-keras 2.21.0", "tensorflow 2.21.0"],
    )
    warnings: list[str]
    tokenizer: TokenizerBody | None = Field(
        default=None, description="how text becomes its inputs; null for models that take no text"
    )


class TokenGridBody(BaseModel):
    """A map of places of an image, row by row, among tokens: `offset` tokens, such as a class token, come before it."""

    model_config = ConfigDict(from_attributes=True)

    height: int
    width: int
    offset: int


class LayerRow(BaseModel):
    """One tap. `shape` is without the batch axis, `inbound` names the taps it computes from."""

    address: str
    index: int | None
    type: str
    call: int
    output: int
    sites: list[str]
    shape: list[int | None]
    axes: list[str] = Field(description=f"what each axis of `shape` counts: {AXES}")
    grid: TokenGridBody | None = Field(
        description="the map over an image that its tokens are; null if they are none"
    )
    dtype: str
    channels: int | None
    parameters: int
    bytes_per_image: int | None
    inbound: list[str]
    group: bool = Field(description="whether the layer is made of other layers")
    can: list[str] = Field(description="what can be done with it")
    cannot: dict[str, str] = Field(description="what cannot, and why")


class UnreachableLayer(BaseModel):
    """A layer whose values cannot be had."""

    path: str
    reason: str


class LayerList(BaseModel):
    """The taps of a model."""

    model: ModelIdentity
    layers: list[LayerRow]
    unreachable: list[UnreachableLayer]


class GraphNode(BaseModel):
    """One layer call."""

    address: str
    name: str = Field(description="of the layer, with the number of a later call, such as `conv:1`")
    type: str
    group: str | None = Field(description="`path` of the group around it")
    shape: list[int | None]


class GraphEdge(BaseModel):
    """The target computes from the source."""

    source: str
    target: str


class GraphGroup(BaseModel):
    """One call of a layer made of other layers."""

    path: str = Field(description="address of the call, such as `backbone/block:1`")
    name: str = Field(description="the last part of `path`")
    type: str
    parent: str | None = Field(description="the group around it")


class GraphBody(BaseModel):
    """A model as a graph, for drawing."""

    model: ModelIdentity
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    groups: list[GraphGroup]


class NamedVersionBody(VersionBody):
    """One version of a model, as it is now."""

    name: str


class LabelsBody(BaseModel):
    """The labels of a model, and the versions that they point at."""

    name: str
    labels: dict[str, int]


class FileInputBody(BaseModel):
    """An input that a model file declares; `shape` is with the batch axis, null where any size will do."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    shape: list[int | None]
    dtype: str


class FileBody(BaseModel):
    """What a model file turned out to be when it was checked."""

    model_config = ConfigDict(from_attributes=True)

    kind: Literal["keras", "hdf5"]
    digest: str = Field(description="SHA-256 of the file that was sent")
    model: str = Field(description="the model's class")
    name: str = Field(description="the model's own name")
    keras_version: str | None
    layers: dict[str, int] = Field(description="how many layers there are, by class")
    parameters: int
    weight_bytes: int
    inputs: list[FileInputBody]
    warnings: list[str]


class UploadBody(NamedVersionBody):
    """The version that a model file became, or was already."""

    file: FileBody
