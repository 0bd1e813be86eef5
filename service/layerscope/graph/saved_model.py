"""Trace a SavedModel folder: its graph as it was saved, with taps where its layers are.

Nothing is restored as TensorFlow restores it: no objects, no optimizer, no code of Keras. So folders open too that
`tf.saved_model.load` cannot read any more. What a finished graph cannot give are gradients through loops, for which
a trace keeps more of each round.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from layerscope.errors import LayerscopeError, ModelRefused
from layerscope.graph.saved_checkpoint import saved_variables
from layerscope.graph.saved_graph import (
    entrance,
    imported,
    known_shapes,
    placeholder,
    require_servable,
    serving_graph,
    variables_in,
)
from layerscope.graph.saved_signature import SavedSignature, read_meta_graph, saved_signature
from layerscope.graph.saved_structure import Structure
from layerscope.graph.saved_taps import SavedLayerCalls
from layerscope.graph.saved_wiring import Wiring
from layerscope.graph.taps import Tap
from layerscope.graph.tracing import Trace

logger = logging.getLogger(__name__)


def trace_saved_model(folder: Path) -> Trace:
    """Trace the SavedModel in `folder` with a free batch size.

    Layers are named after the scopes in the graph, without the model's own; inputs and outputs as the signature has
    them.

    Raises:
        ModelRefused: it is damaged or incomplete, or does what cannot be served.
    """
    try:
        return _traced(folder)
    except LayerscopeError:
        raise
    except Exception as error:
        logger.warning("cannot read the SavedModel %s", folder.name, exc_info=True)
        raise ModelRefused(
            "The SavedModel cannot be read: export the model again with model.export('folder'), with Keras 3 and"
            " TensorFlow 2.",
            cause=type(error).__name__,
        ) from error


def _traced(folder: Path) -> Trace:
    meta_graph = read_meta_graph(folder)
    signature = saved_signature(meta_graph)
    flat = serving_graph(meta_graph, signature)
    entrances = {each.name: entrance(number) for number, each in enumerate(signature.inputs)}
    results = [flat.resolved(tensor) for _, tensor in signature.outputs]
    nodes = flat.needed([*entrances.values(), *results])
    require_servable(nodes)
    variables = variables_in(nodes, saved_variables(folder, meta_graph))
    graph_def, described = imported(meta_graph, nodes, known_shapes(flat, signature))
    structure = Structure(flat, meta_graph.graph_def.library, nodes, entrances)
    wiring = Wiring(graph_def.node, [structure.made(tensor) for tensor in results], described)
    layer_calls = SavedLayerCalls(
        wiring, structure.fed, {name: each.size for name, each in variables.items()}
    )
    calls = layer_calls.collect(structure.calls, signature.inputs, list(entrances.values()))
    outputs, made_by_model = layer_calls.outputs([name for name, _ in signature.outputs])
    _require_any_batch(signature, outputs)
    del graph_def.node[:]
    graph_def.node.extend(map(_detached, wiring.nodes.values()))
    return Trace(
        graph_def=graph_def,
        inputs=signature.inputs,
        placeholders=tuple(f"{placeholder(number)}:0" for number in range(len(signature.inputs))),
        outputs=tuple(outputs),
        calls=(*calls, *made_by_model),
        captures=tuple((f"{name}:0", each) for name, each in variables.items()),
        unreachable=structure.unreachable,
    )


def _detached(node: Any) -> Any:
    """A variable is named in a trace by a placeholder, as its values are elsewhere."""
    if node.op != "VarHandleOp":
        return node
    placeholder = tf.compat.v1.NodeDef(name=node.name, op="Placeholder")
    placeholder.attr["dtype"].type = tf.resource.as_datatype_enum
    return placeholder


def _require_any_batch(signature: SavedSignature, outputs: Sequence[tuple[str, Tap]]) -> None:
    if signature.batch is not None and not all(tap.tensor.batched for _, tap in outputs):
        raise ModelRefused(
            f"The SavedModel takes exactly {signature.batch} images at once: export it again with an input shape"
            " whose batch axis is None.",
            batch=signature.batch,
        )
