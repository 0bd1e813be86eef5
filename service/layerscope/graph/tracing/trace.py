"""Trace of a Keras model: it is called once, with a tap on every layer call.

The graph that comes out is independent of the model: weights are named, not copied, and the Keras objects can be
dropped once an `Executable` has taken the weights over.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from layerscope.errors import ModelRefused
from layerscope.graph.axes.follow import with_axes
from layerscope.graph.axes.inputs import LayoutOf
from layerscope.graph.taps.addresses import encode_path
from layerscope.graph.taps.tap import Input, LayerCall, Tap, Tensor
from layerscope.graph.tracing.batch_axis import Rows, rows_of
from layerscope.graph.tracing.call_recorder import Call, Recorder, needless_copies
from layerscope.graph.tracing.custom_gradients import trace_custom_gradients, with_custom_gradients
from layerscope.graph.tracing.keras_versions import version_of
from layerscope.graph.tracing.refusals import cannot_run, require_weights
from layerscope.graph.tracing.signature import Signature

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trace:
    """A model as one graph with taps.

    `graph_def` computes everything; `placeholders` feed `inputs`, in the same order; `captures` pairs each
    placeholder for something outside the graph with the variable or constant it stands for. `outputs` names the
    model's outputs and the taps that hold them; `calls` are in the order in which their values appear;
    `unreachable` are the paths of layers that run inside a loop or a branch, whose values no graph can give; `opened_with`
    is the package, with its version, that opened the file; `warnings` say what was decided where nothing is declared.
    The graph takes one image, and fills a batch of `batch_size` with copies of it, if that is not None. `seed` is the
    placeholder for the seed of its random numbers, if it draws any.
    """

    graph_def: Any
    inputs: tuple[Input, ...]
    placeholders: tuple[str, ...]
    outputs: tuple[tuple[str, Tap], ...]
    calls: tuple[LayerCall, ...]
    captures: tuple[tuple[str, Any], ...]
    unreachable: tuple[str, ...]
    opened_with: str
    warnings: tuple[str, ...] = ()
    batch_size: int | None = None
    seed: str | None = None


@dataclass(frozen=True)
class _Attempt:
    """A call of the model that may not have come to its end."""

    entrances: list[Any]
    recorder: Recorder


@dataclass(frozen=True)
class _Recording:
    """The result of one call: the graph, the tensors that the model was called with, and the recorder."""

    graph: Any
    signature: Signature
    entrances: list[Any]
    recorder: Recorder


def trace(model: Any, signature: Signature, layout_of: LayoutOf = lambda _: None) -> Trace:
    """Trace `model` in inference mode with a free batch size.

    A model that was made for one batch size, and runs with no other, is traced with copies of the image in such a batch.

    Args:
        model: of Keras.
        signature: its inputs.
        layout_of: tells the layout that is declared for an input of images.

    Raises:
        ModelRefused: the model cannot be called on such inputs, or only on batches of a size that it does not tell.
    """
    known = {id(weight) for weight in model.weights}
    _reset_states(model)
    try:
        return _traced_once(model, signature, known, layout_of)
    except ModelRefused as error:
        if signature.batch_size is None:
            raise
        logger.info("traced again with a fixed batch size: %s", error.message)
    fixed = signature.with_fixed_batch(is_stateful=_reset_states(model))
    return _traced_once(model, fixed, known, layout_of)


def _traced_once(model: Any, signature: Signature, known: Collection[int], layout_of: LayoutOf) -> Trace:
    recording = _record(model, signature)
    tokens = _token_inputs(recording) if signature.dtypes_assumed else []
    if tokens:
        recording = _record(model, signature.with_integers(tokens))
    require_weights(model, known)
    return _traced(model, recording, layout_of)


def _reset_states(model: Any) -> bool:
    """Reset the states that recurrent layers keep between batches; whether there are any."""
    stateful = [each for each in model._flatten_layers() if getattr(each, "stateful", False)]  # noqa: SLF001
    for layer in stateful:
        if hasattr(layer, "reset_states"):
            layer.reset_states()
    return bool(stateful)


def _traced(model: Any, recording: _Recording, layout_of: LayoutOf) -> Trace:
    graph, recorder, inputs = recording.graph, recording.recorder, recording.signature.inputs
    originals = needless_copies(recorder.copies, graph)
    # It captures what the model itself does not read, so it comes first.
    gradients = trace_custom_gradients(graph)
    layer_calls = _LayerCalls(model, recording, originals)
    calls, unreachable = layer_calls.collect(recording.entrances, inputs)
    variables = {variable.handle.ref(): variable for variable in graph.variables}
    graph_def = with_custom_gradients(_simplified(graph.as_graph_def(), originals), gradients)
    placeholders = tuple(tensor.name for tensor in graph.inputs[: len(inputs)])
    fed = dict(zip(placeholders, inputs, strict=True))
    given = [tensor.name for tensor in recorder.outputs.values()]
    with_known_axes = with_axes(calls, graph_def, graph, fed, given, layout_of)
    taps = {tap.address: tap for call in with_known_axes for tap in call.taps}
    return Trace(
        graph_def=graph_def,
        inputs=inputs,
        placeholders=placeholders,
        outputs=tuple(
            (name, taps[layer_calls.made_by[tensor.name].address])
            for name, tensor in recorder.outputs.items()
        ),
        calls=with_known_axes,
        captures=tuple((inner.name, variables.get(outer.ref(), outer)) for outer, inner in graph.captures),
        unreachable=tuple(unreachable),
        opened_with=version_of(model).opened_with,
        warnings=recording.signature.warnings,
        batch_size=recording.signature.batch_size if recording.signature.is_batch_fixed else None,
    )


def _record(model: Any, signature: Signature) -> _Recording:
    try:
        return _record_once(model, signature, [], inline=True)
    except Exception as error:
        logger.info("traced again with compiled functions as they are: %s", error)
    attempts: list[_Attempt] = []
    try:
        return _record_once(model, signature, attempts, inline=False)
    except Exception as error:
        failed = attempts[-1].recorder.failed if attempts else None
        raise cannot_run(signature, failed, error) from error


def _record_once(model: Any, signature: Signature, attempts: list[_Attempt], *, inline: bool) -> _Recording:
    def call(*tensors: Any) -> Any:
        entrances = [_entrance(tensor, signature) for tensor in tensors]
        names = (each.name for each in signature.inputs)
        recorder = Recorder(model, dict(zip(names, entrances, strict=True)), inline=inline)
        attempts.append(_Attempt(entrances, recorder))
        arguments, keywords = signature.packed(entrances)
        with recorder.recording():
            return model(*arguments, **keywords, training=False)

    specs = [
        tf.TensorSpec([None, *each.shape], each.dtype, name=f"input_{number}")
        for number, each in enumerate(signature.inputs)
    ]
    graph = tf.function(call, input_signature=specs, autograph=False).get_concrete_function().graph
    return _Recording(graph, signature, attempts[-1].entrances, attempts[-1].recorder)


def _entrance(tensor: Any, signature: Signature) -> Any:
    """What the tap of an input reads: a fed tensor cannot be fetched. In a batch of fixed size, one image fills it."""
    if not signature.is_batch_fixed:
        return tf.identity(tensor)
    return tf.broadcast_to(tensor, tf.concat([[signature.batch_size], tf.shape(tensor)[1:]], 0))


def _token_inputs(recording: _Recording) -> list[str]:
    """The inputs that an embedding reads: they are integers, which a cast to half precision would not keep."""
    embedded = [
        tensor
        for call in recording.recorder.calls
        if isinstance(call.operation, version_of(call.operation).layers.Embedding)
        for tensor in call.tensors["input"]
    ]
    read = {_before_casts(tensor).name for tensor in embedded}
    rows = zip(recording.signature.inputs, recording.entrances, strict=True)
    return [each.name for each, tensor in rows if tensor.op.inputs[0].name in read]


def _before_casts(tensor: Any) -> Any:
    while tensor.op.type in {"Cast", "Identity"}:
        tensor = tensor.op.inputs[0]
    return tensor


class _LayerCalls:
    """Turns what a recorder found into `LayerCall`s: shapes, kinds, and what each computes from.

    `made_by` gives the output tap that names each tensor: where several calls pass one on, the last of them.
    """

    def __init__(self, model: Any, recording: _Recording, originals: Mapping[str, str]) -> None:
        self._model = model
        self._graph = recording.graph
        self._recorder = recording.recorder
        self._originals = originals
        self._rows = self._find_rows(recording)
        self._indices = {id(layer): number for number, layer in enumerate(model.layers)}
        self.made_by: dict[str, Tap] = {}

    def collect(self, entrances: list[Any], inputs: Sequence[Input]) -> tuple[list[LayerCall], list[str]]:
        """All calls whose values are in the main graph, inputs first, and the paths of the others.

        A model may compute an output by itself, after its last layer: then there is a call that is named after
        the output.
        """
        result = [self._input(tensor, each) for tensor, each in zip(entrances, inputs, strict=True)]
        inside = {call.path for call in self._recorder.calls if not self._in_main_graph(call)}
        result.extend(self._layer_call(call) for call in self._recorder.calls if call.path not in inside)
        taken = {call.path for call in result}
        for name, tensor in self._recorder.outputs.items():
            if tensor.name not in self.made_by:
                path = (name,) if (name,) not in taken else (f"{name}_of_model",)
                result.append(self._layer_call(Call(path, 0, None, {"output": [tensor]}), kind="Output"))
        return result, sorted(encode_path(path) for path in inside)

    def _find_rows(self, recording: _Recording) -> Mapping[str, Rows]:
        tensors = [*recording.entrances, *recording.recorder.outputs.values()]
        for call in recording.recorder.calls:
            if self._in_main_graph(call):
                tensors.extend(tensor for found in call.tensors.values() for tensor in found)
        return rows_of(recording.graph, recording.signature, tensors)

    def _in_main_graph(self, call: Call) -> bool:
        return all(tensor.graph is self._graph for tensors in call.tensors.values() for tensor in tensors)

    def _input(self, tensor: Any, each: Input) -> LayerCall:
        layer = next((layer for layer in self._model.layers if layer.name == each.name), None)
        call = Call((each.name,), 0, layer, {"output": [tensor]})
        return self._layer_call(call, kind="InputLayer")

    def _layer_call(self, call: Call, kind: str | None = None) -> LayerCall:
        layer = call.operation
        inbound = self._inbound(call.tensors.get("input", call.tensors["output"]))
        result = LayerCall(
            path=call.path,
            call=call.number,
            type=kind or type(layer).__name__,
            index=self._indices.get(id(layer)) if len(call.path) == 1 else None,
            parameters=layer.count_params() if _has_parameters(layer) else 0,
            is_group=call.is_group,
            inbound=tuple(tap.address for tap in inbound),
            tensors={site: tuple(map(self._describe, tensors)) for site, tensors in call.tensors.items()},
            origins=self._origins(call) if call.is_group else (),
            data_format=_data_format(layer),
            go_backwards=getattr(layer, "go_backwards", None) is True,
        )
        outputs = (tap for tap in result.taps if tap.place.site == "output")
        self.made_by.update(zip((tensor.name for tensor in call.tensors["output"]), outputs, strict=True))
        return result

    def _origins(self, call: Call) -> tuple[tuple[str, ...], ...]:
        """The taps inside a group that its outputs come from; called before the outputs are taps of the group."""
        return tuple(
            tuple(tap.address for tap in self._inbound([tensor])) for tensor in call.tensors["output"]
        )

    def _inbound(self, tensors: list[Any]) -> list[Tap]:
        """The taps that `tensors` come from, through operations that belong to no layer."""
        found: dict[Tap, None] = {}
        seen: set[str] = set()
        waiting = list(tensors)
        while waiting:
            tensor = waiting.pop(0)
            if tensor.name in seen:
                continue
            seen.add(tensor.name)
            tap = self.made_by.get(tensor.name)
            if tap is None:
                waiting.extend(tensor.op.inputs)
            else:
                found[tap] = None
        return list(found)

    def _describe(self, tensor: Any) -> Tensor:
        shape, rows = tuple(tensor.shape.as_list()), self._rows[tensor.name]
        return Tensor(
            name=self._originals.get(tensor.name, tensor.name),
            shape=shape[1:] if rows.batched else shape,
            dtype=tensor.dtype.name,
            batched=rows.batched,
            mixed=rows.mixed,
        )


def _has_parameters(operation: Any) -> bool:
    """Whether it is a built layer, which can count its parameters."""
    return bool(operation and isinstance(operation, version_of(operation).layer) and operation.built)


def _data_format(operation: Any) -> str | None:
    """Where a layer has its channels, if it tells: a layer of a stranger may have anything under this name."""
    declared = getattr(operation, "data_format", None)
    return declared if isinstance(declared, str) else None


def _simplified(graph_def: Any, originals: Mapping[str, str]) -> Any:
    """The graph without needless copies and control inputs.

    Control inputs order side effects, of which inference has none; with them no plan could be pruned.
    """
    replaced = {copy.removesuffix(":0"): name.removesuffix(":0") for copy, name in originals.items()}
    for node in graph_def.node:
        inputs = [replaced.get(name, name) for name in node.input if not name.startswith("^")]
        if inputs != node.input:
            del node.input[:]
            node.input.extend(inputs)
    return graph_def
