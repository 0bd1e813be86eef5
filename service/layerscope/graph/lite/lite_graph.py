"""The graph of a `.tflite` file as data: what the process that reads the file tells the service."""

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class LiteTensor:
    """A tensor of the graph that an input or an operator gives.

    Attributes:
        index: its number in the file.
        name: as in the file: the names of the operations that were fused into it, joined by semicolons.
        shape: with the batch axis; the sizes that the file was converted with.
        free: for each axis, whether its size may be another.
        dtype: the numpy name of the type that it is stored in; empty for a type that numpy lacks.
        operator: the built-in operator that gives it; empty for an input.
        activation: the activation fused into the operator, such as `RELU6`; empty if there is none.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    free: tuple[bool, ...]
    dtype: str
    operator: str = ""
    activation: str = ""


@dataclass(frozen=True, kw_only=True)
class LiteGraph:
    """A `.tflite` file with one graph.

    Attributes:
        digest: of the file, `sha256-` and 64 hexadecimal digits.
        inputs: the name of each input in the signature, or of its tensor, and the number of the tensor.
        outputs: the same of the outputs.
        tensors: those that inputs and operators give, in the order in which they are computed.
        constants: the names of all others.
        nbytes: the memory of all that is computed, temporary values included, at the sizes of the file.
    """

    digest: str
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]
    tensors: tuple[LiteTensor, ...]
    constants: tuple[str, ...]
    nbytes: int

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """The same graph from JSON."""
        tensors = tuple(
            LiteTensor(**{**each, "shape": tuple(each["shape"]), "free": tuple(each["free"])})
            for each in data["tensors"]
        )
        inputs, outputs = (
            tuple((str(name), int(index)) for name, index in data[key]) for key in ("inputs", "outputs")
        )
        return cls(
            digest=data["digest"],
            inputs=inputs,
            outputs=outputs,
            tensors=tensors,
            constants=tuple(data["constants"]),
            nbytes=data["nbytes"],
        )

    def tensor(self, index: int) -> LiteTensor:
        """The tensor of a number."""
        return next(each for each in self.tensors if each.index == index)
