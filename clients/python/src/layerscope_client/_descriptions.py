"""Models and layers as the service describes them. A newer service may send more keys than are named here."""

from collections.abc import Iterable
from typing import Any, TypedDict


class ModelIdentity(TypedDict):
    """Exactly which model answered."""

    name: str
    version: int
    digest: str


class ModelInput(TypedDict):
    """An input of a model: the shape of one image, and what is done to an image before it goes in."""

    name: str
    shape: list[int | None]
    dtype: str
    preprocessing: dict[str, Any] | None


class ModelVersion(TypedDict):
    """One version of a model; what is not loaded has neither digest nor inputs, and `reason` says why."""

    version: int
    state: str
    digest: str | None
    reason: str | None
    memory_bytes: int | None
    inputs: list[ModelInput] | None


class NamedModelVersion(ModelVersion):
    """One version, as it is after a change."""

    name: str


class ModelFile(TypedDict):
    """What a model file turned out to be when the service checked it."""

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
    """The version that a model file became, or was already."""

    file: ModelFile


class ModelSummary(TypedDict):
    """A model with its versions, and its labels: names that point at one."""

    name: str
    labels: dict[str, int]
    versions: list[ModelVersion]


class ModelOutput(TypedDict):
    """An output of a model and the layer that makes it."""

    name: str
    address: str
    shape: list[int | None]
    dtype: str


class ModelDescription(TypedDict):
    """All about one version of a model."""

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
    warnings: list[str]


class Layer(TypedDict):
    """One call of one layer: what it gives, and what can be done with it (`can`) or not, and why (`cannot`)."""

    address: str
    index: int | None
    type: str
    call: int
    output: int
    sites: list[str]
    shape: list[int | None]
    dtype: str
    channels: int | None
    parameters: int
    bytes_per_image: int | None
    inbound: list[str]
    group: bool
    can: list[str]
    cannot: dict[str, str]


class UnreachableLayer(TypedDict):
    """A layer whose values cannot be had, and why."""

    path: str
    reason: str


class Layers(list[Layer]):
    """The layers that were asked for, in graph order.

    Attributes:
        model: Which model they belong to.
        unreachable: The layers of the model that cannot be asked for.
    """

    def __init__(
        self, rows: Iterable[Layer], model: ModelIdentity, unreachable: list[UnreachableLayer]
    ) -> None:
        super().__init__(rows)
        self.model = model
        self.unreachable = unreachable


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
    """A nested model; `parent` is the path of the one around it."""

    path: str
    name: str
    type: str
    parent: str | None


class Graph(TypedDict):
    """A model for drawing."""

    model: ModelIdentity
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    groups: list[GraphGroup]


class Limit(TypedDict):
    """A bound the service enforces."""

    name: str
    value: int
    unit: str
    meaning: str
