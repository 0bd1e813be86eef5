"""Types of models and layers in answers of the service. A newer service may send more keys than are named here."""

from collections.abc import Iterable
from typing import Any, TypedDict

from layerscope_client._notebook import shape_text, table


class ModelIdentity(TypedDict):
    """The model that computed an answer."""

    name: str
    version: int
    digest: str


class ModelInput(TypedDict):
    """An input of a model: the shape of one image, the preprocessing of images, and the names of the numbers of a vector."""

    name: str
    shape: list[int | None]
    axes: list[str]
    dtype: str
    preprocessing: dict[str, Any] | None
    features: list[str] | None


class ModelVersion(TypedDict):
    """One version of a model. A version that is not loaded has no digest and no inputs; `reason` says why."""

    version: int
    state: str
    digest: str | None
    reason: str | None
    memory_bytes: int | None
    opened_with: str | None
    inputs: list[ModelInput] | None


class NamedModelVersion(ModelVersion):
    """One version, with the name of its model, after a change."""

    name: str


class ModelFile(TypedDict):
    """The report of the service about a model file that it checked."""

    kind: str
    digest: str
    model: str
    name: str
    keras_version: str | None
    layers: dict[str, int]
    parameters: int
    weight_bytes: int
    inputs: list[dict[str, Any]]
    warnings: list[str]


class AddedModel(NamedModelVersion):
    """The version that an uploaded model file became, or was already."""

    file: ModelFile


class ModelSummary(TypedDict):
    """A model with its versions and its labels, which are names of versions."""

    name: str
    labels: dict[str, int]
    versions: list[ModelVersion]


class ModelOutput(TypedDict):
    """An output of a model, and the layer that computes it."""

    name: str
    address: str
    shape: list[int | None]
    axes: list[str]
    dtype: str


class TokenizerDescription(TypedDict):
    """How text becomes the inputs of a model; what each input takes is `ids`, `mask` or `segments`."""

    kind: str
    vocabulary: int
    inputs: dict[str, str]
    length: int | str | None
    padding: str
    padding_id: int
    truncation: str | None


class ModelDescription(TypedDict):
    """The description of one version of a model. `opened_with` is the package that opened its file, with its version."""

    name: str
    version: int
    state: str
    digest: str
    labels: list[str]
    inputs: list[ModelInput]
    outputs: list[ModelOutput]
    classes: list[str] | None
    parameters: int
    memory_bytes: int
    layers: int
    opened_with: str
    warnings: list[str]
    tokenizer: TokenizerDescription | None


class TokenGrid(TypedDict):
    """A map of places of an image, row by row, among the tokens of a layer; `offset` other tokens come before it."""

    height: int
    width: int
    offset: int


class Layer(TypedDict):
    """One output of one call of a layer, with the operations that are possible (`can`), or not and why (`cannot`).

    `axes` says what each axis of `shape` counts: height, width, depth, time, tokens, heads or channels, or unknown.
    """

    address: str
    index: int | None
    type: str
    call: int
    output: int
    sites: list[str]
    shape: list[int | None]
    axes: list[str]
    grid: TokenGrid | None
    dtype: str
    channels: int | None
    parameters: int
    bytes_per_image: int | None
    inbound: list[str]
    group: bool
    can: list[str]
    cannot: dict[str, str]


class UnreachableLayer(TypedDict):
    """A layer whose values cannot be requested, and the reason."""

    path: str
    reason: str


class Layers(list[Layer]):
    """The requested layers, in graph order.

    Attributes:
        model: The model that they belong to.
        unreachable: The layers of the model whose values cannot be requested.
    """

    def __init__(
        self, rows: Iterable[Layer], model: ModelIdentity, unreachable: list[UnreachableLayer]
    ) -> None:
        super().__init__(rows)
        self.model = model
        self.unreachable = unreachable

    def _repr_html_(self) -> str:
        rows = [
            (
                row["address"],
                row["type"],
                shape_text(row["shape"]),
                f"{row['parameters']:,}",
                ", ".join(row["can"]),
            )
            for row in self
        ]
        title = f"{len(self)} layers of {self.model['name']}@{self.model['version']}"
        return table(title, ("layer", "type", "shape", "parameters", "can"), rows)


class GraphNode(TypedDict):
    """A node: one call of one layer; `group` is the path of the nested model it is part of."""

    address: str
    name: str
    type: str
    group: str | None
    shape: list[int | None]


class GraphEdge(TypedDict):
    """An edge from the address of one node to that of another."""

    source: str
    target: str


class GraphGroup(TypedDict):
    """One call of a nested model; `path` is its address, and `parent` that of the group around it."""

    path: str
    name: str
    type: str
    parent: str | None


class Graph(TypedDict):
    """The graph of a model, for drawing."""

    model: ModelIdentity
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    groups: list[GraphGroup]


class Limit(TypedDict):
    """A limit that the service enforces."""

    name: str
    value: int
    unit: str
    meaning: str
