"""Trace of a SavedModel folder: its graph as it was saved, with taps where its layers are.

Nothing is restored as TensorFlow restores it: no objects, no optimizer, no code of Keras. So folders open too that
`tf.saved_model.load` cannot read any more. No operation of the graph runs before values are requested.
"""

import logging
from pathlib import Path
from typing import Any

import tensorflow as tf

from layerscope.errors import LayerscopeError, ModelRefused
from layerscope.graph.axes.follow import with_axes
from layerscope.graph.axes.inputs import LayoutOf
from layerscope.graph.saved.checkpoint import saved_variables
from layerscope.graph.saved.graph import placeholder, serving_graph, variables_in
from layerscope.graph.saved.importing import imported
from layerscope.graph.saved.keras_metadata import KerasMetadata
from layerscope.graph.saved.signature import read_meta_graph, saved_signature
from layerscope.graph.saved.structure import Structure
from layerscope.graph.saved.taps import SavedLayerCalls
from layerscope.graph.saved.wiring import Wiring
from layerscope.graph.tracing.trace import Trace

logger = logging.getLogger(__name__)


def trace_saved_model(
    folder: Path, signature: str | None = None, layout_of: LayoutOf = lambda _: None
) -> Trace:
    """Trace the SavedModel in `folder` with a free batch size.

    Layers are named after the scopes in the graph, without the model's own; inputs and outputs as the signature has
    them.

    Args:
        folder: of the SavedModel.
        signature: which to serve; left out, the default, or the only one that can be served.
        layout_of: tells the layout that is declared for an input of images.

    Raises:
        ModelRefused: it is damaged or incomplete, or does what cannot be served.
    """
    try:
        return _traced(folder, signature, layout_of)
    except LayerscopeError:
        raise
    except Exception as error:
        logger.warning("cannot read the SavedModel %s", folder.name, exc_info=True)
        raise ModelRefused(
            "The SavedModel cannot be read: export the model again with model.export('folder'), with Keras 3 and"
            " TensorFlow 2.",
            cause=type(error).__name__,
        ) from error


def _traced(folder: Path, wanted: str | None, layout_of: LayoutOf) -> Trace:
    meta_graph = read_meta_graph(folder)
    signature = saved_signature(meta_graph, wanted)
    saved = saved_variables(folder, meta_graph)
    serving = serving_graph(meta_graph, signature, saved)
    variables = variables_in(serving.nodes, saved)
    metadata = KerasMetadata(folder, meta_graph)
    structure = Structure(
        serving,
        meta_graph.graph_def.library,
        [each.name for each in signature.inputs],
        metadata.names_with_slashes,
    )
    graph_def, described, graph = imported(meta_graph, serving, signature)
    wiring = Wiring(graph_def.node, [structure.made(tensor) for tensor in serving.results], described)
    sizes = {name: variable.size for name, variable in variables.items()}
    layer_calls = SavedLayerCalls(wiring, structure.fed, sizes, metadata.layer)
    calls = layer_calls.collect(structure.calls, signature.inputs, serving.entrances)
    outputs, made_by_model = layer_calls.outputs([name for name, _ in signature.outputs])
    del graph_def.node[:]
    graph_def.node.extend(wiring.nodes.values())
    placeholders = tuple(f"{placeholder(number)}:0" for number in range(len(signature.inputs)))
    fed = dict(zip(placeholders, signature.inputs, strict=True))
    with_known_axes = with_axes([*calls, *made_by_model], graph_def, graph, fed, wiring.outputs, layout_of)
    taps = {tap.address: tap for call in with_known_axes for tap in call.taps}
    return Trace(
        graph_def=_without_values(graph_def),
        inputs=signature.inputs,
        placeholders=placeholders,
        outputs=tuple((name, taps[tap.address]) for name, tap in outputs),
        calls=with_known_axes,
        captures=tuple((f"{name}:0", variable) for name, variable in variables.items()),
        unreachable=structure.unreachable,
        opened_with=f"tensorflow {tf.__version__}",
    )


def _without_values(graph_def: Any) -> Any:
    """The graph with a placeholder for each variable, as in any trace: the values are kept apart from the graph."""
    for node in graph_def.node:
        if node.op == "VarHandleOp":
            node.op = "Placeholder"
            node.attr.clear()
            node.attr["dtype"].type = tf.resource.as_datatype_enum
    return graph_def
