"""What a checked model file turned out to be."""

from dataclasses import dataclass
from typing import Literal

Shape = tuple[int | None, ...]
Kind = Literal["keras", "hdf5"]


@dataclass(frozen=True)
class InputReport:
    """An input: its name, its shape with the batch axis (None where it is free), and its dtype."""

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class Report:
    """What a person needs to know of a model file that may be accepted.

    Attributes:
        kind: `keras` for a `.keras` file, `hdf5` for the legacy format of Keras 2.
        digest: SHA-256 of the file, `sha256-…`.
        model: the model's class, such as `Functional`.
        name: the model's own name.
        keras_version: the version of Keras that wrote it, if the file tells.
        layers: how many layers it has by class, nested ones included.
        parameters: how many numbers its weights are.
        weight_bytes: what they take.
        inputs: what it is called with; empty for a model that does not say.
        warnings: what will work and may surprise.
    """

    kind: Kind
    digest: str
    model: str
    name: str
    keras_version: str | None
    layers: dict[str, int]
    parameters: int
    weight_bytes: int
    inputs: tuple[InputReport, ...]
    warnings: tuple[str, ...]
