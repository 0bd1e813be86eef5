"""The interpreter of TensorFlow Lite, for one file that `structure` has written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from layerscope.errors import ModelRefused
from layerscope.graph.lite.quantisation import Quantisation

Array = np.ndarray[Any, np.dtype[Any]]

_REFUSED = "The interpreter of TensorFlow Lite cannot run the file: convert the model again."


@dataclass(frozen=True)
class LiteInput:
    """The numbers that an input gets, and the number of its tensor."""

    index: int
    values: Array


class LiteInterpreter:
    """Runs one image at a time. It keeps all tensors, so that each can be read.

    Args:
        content: of the file.

    Raises:
        ModelRefused: the interpreter does not accept it.
    """

    def __init__(self, content: bytes) -> None:
        try:
            self._interpreter = Interpreter(
                model_content=content,
                num_threads=1,
                experimental_preserve_all_tensors=True,
                # A delegate computes several layers at once, and gives no values of those between.
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
        except (RuntimeError, ValueError) as error:
            raise ModelRefused(_REFUSED, cause=str(error)[:500]) from error
        self._shapes: list[tuple[int, ...]] = []

    def run(self, inputs: Sequence[LiteInput], tensors: Sequence[int]) -> list[Array]:
        """Run one image.

        Args:
            inputs: all of them.
            tensors: the numbers of those that are wanted.

        Returns:
            The numbers that each of these tensors holds, float32, rows first.

        Raises:
            ModelRefused: the file cannot run on these inputs.
        """
        try:
            self._resize(inputs)
            details = {each["index"]: each for each in self._interpreter.get_tensor_details()}
            for each in inputs:
                stored = _quantisation(details[each.index]).quantised(
                    each.values, np.dtype(details[each.index]["dtype"])
                )
                self._interpreter.set_tensor(each.index, stored)
            self._interpreter.invoke()
            return [
                np.ascontiguousarray(
                    _quantisation(details[index]).dequantised(self._interpreter.get_tensor(index))
                )
                for index in tensors
            ]
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ModelRefused(_REFUSED, cause=str(error)[:500]) from error

    def _resize(self, inputs: Sequence[LiteInput]) -> None:
        shapes = [each.values.shape for each in inputs]
        if shapes == self._shapes:
            return
        for each in inputs:
            self._interpreter.resize_tensor_input(each.index, each.values.shape, strict=True)
        self._interpreter.allocate_tensors()
        self._shapes = shapes


def _quantisation(details: dict[str, Any]) -> Quantisation:
    return Quantisation.of(details["quantization_parameters"])
