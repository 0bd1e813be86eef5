"""Trace a Keras model once, with a tap on every layer call.

The graph that comes out is independent of the model: weights are named, not copied, and the Keras objects can be
dropped once an `Executable` has taken the weights over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from layerscope.errors import ModelRefused
from layerscope.graph.addresses import encode_path
from layerscope.graph.recording import Call, Recorder
from layerscope.graph.signature import Input, Signature
from layerscope.graph.taps import LayerCall, Tap, Tensor


@dataclass(frozen=True)
class Trace:
    """A model as one graph with taps.

    `graph_def` computes everything; `placeholders` feed `inputs`, in the same order; `captures` pairs each
    placeholder for something outside the graph with the variable or constant it stands for. `outputs` names the
    model's outputs and the taps that hold them; `calls` are in the order in which their values appear;
    `unreachable` are the paths of layers that run inside a loop, whose values no graph can give.
    """

    graph_def: Any
    inputs: tuple[Input, ...]
    placeholders: tuple[str, ...]
    outputs: tuple[tuple[str, Tap], ...]
    calls: tuple[LayerCall, ...]
    captures: tuple[tuple[str, Any], ...]
    unreachable: tuple[str, ...]


def trace(model: Any, signature: Signature) -> Trace:
    """Trace `model` in inference mode with a free batch size.

    Raises:
        ModelRefused: the model cannot be called on such inputs.
    """
    recorder = Recorder(model)
    entrances: list[Any] = []

    def call(*tensors: Any) -> Any:
        # A fed tensor cannot be fetched: the identity of an input is what its tap reads.
        entrances.extend(tf.identity(tensor) for tensor in tensors)
        with recorder.listening():
            return model(keras.tree.pack_sequence_as(signature.structure, entrances), training=False)

    graph = _concrete(call, signature.inputs).graph
    calls, unreachable = _LayerCalls(model, graph, recorder).collect(entrances, signature.inputs)
    variables = {variable.handle.ref(): variable for variable in graph.variables}
    return Trace(
        graph_def=_without_control_inputs(graph.as_graph_def()),
        inputs=signature.inputs,
        placeholders=tuple(tensor.name for tensor in graph.inputs[: len(signature.inputs)]),
        outputs=tuple(zip(_output_names(model, recorder.outputs), _output_taps(calls, recorder), strict=True)),
        calls=tuple(calls),
        captures=tuple((inner.name, variables.get(outer.ref(), outer)) for outer, inner in graph.captures),
        unreachable=tuple(unreachable),
    )


def _concrete(call: Any, inputs: Sequence[Input]) -> Any:
    specs = [
        tf.TensorSpec([None, *each.shape], each.dtype, name=f"input_{number}")
        for number, each in enumerate(inputs)
    ]
    try:
        return tf.function(call, input_signature=specs, autograph=False).get_concrete_function()
    except Exception as error:
        shapes = [each.shape for each in inputs]
        raise ModelRefused(
            f"The model cannot be run on inputs of shape {', '.join(map(str, shapes))}: check its input shape.",
            shapes=shapes,
            cause=type(error).__name__,
        ) from error


class _LayerCalls:
    """Turns what a recorder heard into `LayerCall`s: shapes, kinds, and what each computes from."""

    def __init__(self, model: Any, graph: Any, recorder: Recorder) -> None:
        self._model = model
        self._graph = graph
        self._recorder = recorder
        self._indices = {id(layer): number for number, layer in enumerate(model.layers)}
        self._made_by: dict[str, str] = {}
        self._channels_first: dict[str, bool] = {}

    def collect(self, entrances: list[Any], inputs: Sequence[Input]) -> tuple[list[LayerCall], list[str]]:
        """All calls whose values are in the main graph, inputs first, and the paths of the others."""
        result = [self._input(tensor, each) for tensor, each in zip(entrances, inputs, strict=True)]
        inside = {call.path for call in self._recorder.calls if not self._in_main_graph(call)}
        taken = {call.path for call in result}
        for call in self._recorder.calls:
            if call.path not in inside and call.path not in taken:
                result.append(self._layer_call(call))
        for number, tensor in enumerate(self._recorder.outputs):
            if tensor.name not in self._made_by:
                result.append(self._model_output(number, tensor))
        return result, sorted(encode_path(path) for path in inside)

    def _in_main_graph(self, call: Call) -> bool:
        return all(tensor.graph is self._graph for tensors in call.tensors.values() for tensor in tensors)

    def _input(self, tensor: Any, each: Input) -> LayerCall:
        layer = next((layer for layer in self._model.layers if layer.name == each.name), None)
        call = Call((each.name,), 0, layer, {"output": [tensor]})
        return self._layer_call(call, kind="InputLayer")

    def _model_output(self, number: int, tensor: Any) -> LayerCall:
        """A model may compute its output by itself, after its last layer."""
        return self._layer_call(Call((f"output_{number}",), 0, None, {"output": [tensor]}), kind="Output")

    def _layer_call(self, call: Call, kind: str | None = None) -> LayerCall:
        layer = call.operation
        inbound = self._inbound(call.tensors.get("input", []))
        channels_first = self._is_channels_first(layer, inbound)
        result = LayerCall(
            path=call.path,
            call=call.number,
            type=kind or type(layer).__name__,
            index=self._indices.get(id(layer)) if len(call.path) == 1 else None,
            parameters=layer.count_params() if isinstance(layer, keras.Layer) and layer.built else 0,
            is_group=call.is_group,
            channels_first=channels_first,
            inbound=tuple(inbound),
            tensors={site: tuple(map(_describe, tensors)) for site, tensors in call.tensors.items()},
        )
        for tap in result.taps:
            if tap.place.site == "output":
                self._made_by[tap.tensor.name] = tap.address
                self._channels_first[tap.address] = channels_first
        return result

    def _inbound(self, tensors: list[Any]) -> dict[str, None]:
        """The taps that `tensors` come from, through operations that belong to no layer."""
        found: dict[str, None] = {}
        seen: set[str] = set()
        waiting = list(tensors)
        while waiting:
            tensor = waiting.pop(0)
            if tensor.name in seen:
                continue
            seen.add(tensor.name)
            address = self._made_by.get(tensor.name)
            if address is None:
                waiting.extend(tensor.op.inputs)
            else:
                found[address] = None
        return found

    def _is_channels_first(self, layer: Any, inbound: dict[str, None]) -> bool:
        declared = getattr(layer, "data_format", None)
        if declared is not None:
            return bool(declared == "channels_first")
        return any(self._channels_first[address] for address in inbound)


def _describe(tensor: Any) -> Tensor:
    shape = tuple(tensor.shape.as_list())
    batched = bool(shape) and shape[0] is None
    return Tensor(tensor.name, shape[1:] if batched else shape, tensor.dtype.name, batched)


def _output_taps(calls: Sequence[LayerCall], recorder: Recorder) -> list[Tap]:
    """The last call that holds a tensor is the one a reader of the model would name."""
    latest = {tap.tensor.name: tap for call in calls for tap in call.taps if tap.place.site == "output"}
    return [latest[tensor.name] for tensor in recorder.outputs]


def _output_names(model: Any, outputs: Sequence[Any]) -> list[str]:
    names = getattr(model, "output_names", None) or []
    if len(names) == len(outputs) and len(set(names)) == len(names):
        return list(names)
    return [f"output_{number}" for number in range(len(outputs))]


def _without_control_inputs(graph_def: Any) -> Any:
    """Control inputs order side effects, of which inference has none; with them no plan could be pruned."""
    for node in graph_def.node:
        kept = [name for name in node.input if not name.startswith("^")]
        if len(kept) != len(node.input):
            del node.input[:]
            node.input.extend(kept)
    return graph_def
