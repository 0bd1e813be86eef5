"""The structure of a `.tflite` file, which is checked before the interpreter sees it.

The file is a FlatBuffer: tables that refer to each other by offsets. It is read with the schema's own classes in Python, which
raise an error where an offset leads nowhere, and written anew from what was read. So the interpreter, which follows offsets
without looking, gets only those that were computed here.
"""

import hashlib
from math import prod
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from layerscope.errors import LayerscopeError, ModelRefused, ModelUnreadable
from layerscope.graph.lite.lite_graph import LiteGraph, LiteTensor

_IDENTIFIER = b"TFL3"

_DAMAGED = "The file is damaged: convert the model again."
_INLINE = 1
"""Buffers have an offset and a length of their own if their bytes lie behind the FlatBuffer, in files above 2 GiB."""


def _names(enumeration: type) -> dict[int, str]:
    return {number: name for name, number in vars(enumeration).items() if isinstance(number, int)}


_OPERATORS = _names(schema.BuiltinOperator)
_ACTIVATIONS = _names(schema.ActivationFunctionType)
_DTYPES = {
    number: name.lower()
    for number, name in _names(schema.TensorType).items()
    if name in {"FLOAT16", "FLOAT32", "FLOAT64", "INT8", "INT16", "INT32", "INT64", "UINT8", "BOOL"}
}
_CONVOLUTIONS = {"CONV_2D", "CONV_3D", "TRANSPOSE_CONV"}


def read_structure(data: bytes) -> tuple[bytes, LiteGraph]:
    """Check a file, and write it anew.

    Args:
        data: the content of the file.

    Returns:
        The content of a new file with the same model, and what is in it.

    Raises:
        ModelUnreadable: it is damaged, or no such file.
        ModelRefused: it has several graphs, or operators that the interpreter lacks.
    """
    try:
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        graph = _Graph(model).described(hashlib.sha256(data).hexdigest())
        builder = flatbuffers.Builder(len(data))
        builder.Finish(model.Pack(builder), _IDENTIFIER)
    except (LayerscopeError, MemoryError):
        raise
    except Exception as error:
        # Whatever reading bytes of another meaning leads to.
        raise ModelUnreadable(_DAMAGED, cause=type(error).__name__) from error
    return bytes(builder.Output()), graph


class _Graph:
    """The graph of a model that was read.

    Args:
        model: of the schema's own class.
    """

    def __init__(self, model: Any) -> None:
        graphs = model.subgraphs or []
        _require(len(graphs) > 0)
        if len(graphs) > 1:
            raise ModelRefused(
                f"The file has {len(graphs)} graphs, for loops or branches: only files with one can be compared."
            )
        self._model = model
        self._graph = graphs[0]
        self._buffers = model.buffers or []
        self._tensors = self._graph.tensors or []
        self._operators = self._graph.operators or []

    def described(self, digest: str) -> LiteGraph:
        """What is in it; see `read_structure`."""
        for tensor in self._tensors:
            self._check_tensor(tensor)
        inputs, outputs = _numbers(self._graph.inputs), _numbers(self._graph.outputs)
        _require(bool(inputs) and bool(outputs))
        for index in (*inputs, *outputs):
            _require(0 <= index < len(self._tensors))
        found = {index: self._tensor(index) for index in inputs}
        for operator in self._operators:
            name = self._operator_name(operator)
            for index in _numbers(operator.inputs):
                _require(-1 <= index < len(self._tensors))
            for index in _numbers(operator.outputs):
                _require(0 <= index < len(self._tensors) and not self._constant(self._tensors[index]))
                found[index] = self._tensor(index, name, _activation(operator))
        _require(all(index in found for index in outputs))
        return LiteGraph(
            digest=f"sha256-{digest}",
            inputs=self._called("inputs", inputs),
            outputs=self._called("outputs", outputs),
            tensors=tuple(found.values()),
            constants=tuple(self._name(index) for index in range(len(self._tensors)) if index not in found),
            nbytes=sum(_nbytes(self._tensors[index]) for index in found)
            + sum(map(self._scratch, self._operators)),
        )

    def _check_tensor(self, tensor: Any) -> None:
        shape = _numbers(tensor.shape)
        _require(all(size >= 0 for size in shape) and 0 <= tensor.buffer < max(1, len(self._buffers)))
        _require(isinstance(tensor.name or b"", bytes))
        constant = self._constant(tensor)
        if constant and tensor.type in _DTYPES and not tensor.sparsity:
            _require(constant == _nbytes(tensor))
        scales = tensor.quantization.scale if tensor.quantization is not None else None
        if scales is not None and len(scales) > 1:
            axis = tensor.quantization.quantizedDimension
            _require(0 <= axis < len(shape) and shape[axis] == len(scales))

    def _constant(self, tensor: Any) -> int:
        """The bytes of the values that the file has of a tensor; 0 for one that is computed."""
        if not self._buffers:
            return 0
        buffer = self._buffers[tensor.buffer]
        if (buffer.offset or 0) > _INLINE:
            raise ModelRefused(
                "The file has weights behind its graph, as those above 2 GiB: it cannot be compared."
            )
        return 0 if buffer.data is None else len(buffer.data)

    def _operator_name(self, operator: Any) -> str:
        codes = self._model.operatorCodes or []
        _require(0 <= operator.opcodeIndex < len(codes))
        code = codes[operator.opcodeIndex]
        name = _OPERATORS.get(max(code.builtinCode, code.deprecatedBuiltinCode), "")
        if name == "CUSTOM":
            custom = (code.customCode or b"?").decode("utf-8", "replace")[:100]
            raise ModelRefused(
                f"The file uses {custom!r}, which is no built-in operator of TensorFlow Lite: convert the model with"
                " TFLITE_BUILTINS only.",
                operator=custom,
            )
        _require(bool(name))
        return name

    def _tensor(self, index: int, operator: str = "", activation: str = "") -> LiteTensor:
        tensor = self._tensors[index]
        shape, signature = _numbers(tensor.shape), _numbers(tensor.shapeSignature)
        same = signature if len(signature) == len(shape) else shape
        return LiteTensor(
            index=index,
            name=self._name(index),
            shape=shape,
            free=tuple(size < 0 for size in same),
            dtype=_DTYPES.get(tensor.type, ""),
            operator=operator,
            activation=activation,
        )

    def _called(self, role: str, indices: tuple[int, ...]) -> tuple[tuple[str, int], ...]:
        """Inputs or outputs by their names in the only signature; without one, by those of their tensors."""
        signatures = self._model.signatureDefs or []
        named = getattr(signatures[0], role) or [] if len(signatures) == 1 else []
        names = {each.tensorIndex: (each.name or b"").decode("utf-8", "replace") for each in named}
        if set(names) != set(indices):
            names = {index: self._name(index) for index in indices}
        return tuple((names[index], index) for index in indices)

    def _name(self, index: int) -> str:
        return (self._tensors[index].name or b"").decode("utf-8", "replace")

    def _scratch(self, operator: Any) -> int:
        """The memory in which a convolution arranges its input as the columns of a matrix."""
        inputs, outputs = _numbers(operator.inputs), _numbers(operator.outputs)
        if self._operator_name(operator) not in _CONVOLUTIONS or len(inputs) < 2 or not outputs:
            return 0
        # Filters first, then places and channels.
        kernel = _numbers(self._tensors[inputs[1]].shape)
        return _nbytes(self._tensors[outputs[0]]) // max(1, kernel[0]) * prod(kernel[1:])


def _activation(operator: Any) -> str:
    name = _ACTIVATIONS.get(getattr(operator.builtinOptions, "fusedActivationFunction", 0), "?")
    return "" if name == "NONE" else name


def _nbytes(tensor: Any) -> int:
    itemsize = np.dtype(_DTYPES.get(tensor.type, "float64")).itemsize
    return prod(_numbers(tensor.shape)) * itemsize


def _numbers(values: Any) -> tuple[int, ...]:
    return () if values is None else tuple(int(each) for each in values)


def _require(is_sound: bool) -> None:
    if not is_sound:
        raise ModelUnreadable(_DAMAGED)
