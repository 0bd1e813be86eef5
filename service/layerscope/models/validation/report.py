"""The report on a validated model file."""

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
    """What validation found out about a model file.

    Attributes:
        kind: `keras` for a `.keras` file, `hdf5` for the legacy format of Keras 2.
        digest: SHA-256 of the file, `sha256-…`.
        model: the model's class, such as `Functional`.
        name: the model's own name.
        keras_version: the version of Keras that wrote it, if it is in the file.
        layers: the number of layers by class, nested ones included.
        parameters: the number of its weights.
        weight_bytes: their size.
        inputs: its inputs; empty if the file does not declare them.
        warnings: properties that are allowed and may surprise, such as NaN in the weights.
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
