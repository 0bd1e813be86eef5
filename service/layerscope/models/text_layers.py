"""Layers at the beginning of a model that look words up: a graph without tables has the ids of the words as its input."""

import json
from typing import Any

import keras

from layerscope.errors import ModelRefused
from layerscope.models.manifest import FILE_NAME

_LOOKUPS = (keras.layers.TextVectorization, keras.layers.StringLookup)

_STANDARDIZE = {
    None: {"lower": False, "strip": False},
    "lower": {"lower": True, "strip": False},
    "strip_punctuation": {"lower": False, "strip": True},
    "lower_and_strip_punctuation": {"lower": True, "strip": True},
}


def without_text_layer(model: Any) -> tuple[Any, str | None]:
    """The model from the ids of words on, and the vocabulary of its text layer as `layerscope.text.Vectorization` reads it.

    Other models, also those that look words up elsewhere than at their only input, stay as they are, with None.

    Raises:
        ModelRefused: the layer gives no ids of words, or splits texts with code of its own.
    """
    # Keras has no public names for the graph of a sequential model, and for the calls in it.
    graph = model._functional if isinstance(model, keras.Sequential) else model  # noqa: SLF001
    node = _text_node(graph)
    if node is None:
        return model, None
    layer, (output,) = node.operation, node.output_tensors
    is_lookup = isinstance(layer, keras.layers.StringLookup)
    content = _lookup(layer, node.input_tensors[0]) if is_lookup else _vectorization(layer)
    made = keras.Model(output, graph.outputs, name=model.name)
    # Keras makes an input layer for the ids. It gets the name that the input for texts has.
    made.layers[0].name = next(
        (each.name for each in graph.layers if isinstance(each, keras.layers.InputLayer)), "text"
    )
    return made, json.dumps(content)


def _text_node(graph: Any) -> Any:
    """The call that looks up the words of the only input of a functional model; None if there is none."""
    inputs = getattr(graph, "inputs", None) or []
    if len(inputs) != 1 or keras.backend.standardize_dtype(inputs[0].dtype) != "string":
        return None
    nodes = [node for group in graph._nodes_by_depth.values() for node in group]  # noqa: SLF001
    readers = [node for node in nodes if any(each is inputs[0] for each in node.input_tensors)]
    if len(readers) != 1 or not isinstance(readers[0].operation, _LOOKUPS):
        return None
    return readers[0]


def _lookup(layer: Any, words: Any) -> dict[str, Any]:
    config = layer.get_config()
    if config["output_mode"] != "int" or config["invert"] or config["num_oov_indices"] != 1:
        raise ModelRefused(
            f"The layer {layer.name!r} does not give one id for each word: save the model without it.",
            layer=layer.name,
        )
    return {
        "words": layer.get_vocabulary(),
        "oov_id": 0 if config["mask_token"] is None else 1,
        "lower": False,
        "strip": False,
        "split": "whole" if tuple(words.shape[1:]) in {(), (1,)} else "whitespace",
        "length": None,
    }


def _vectorization(layer: Any) -> dict[str, Any]:
    config = layer.get_config()
    standardize, split = config["standardize"], config["split"]
    if callable(standardize) or callable(split):
        raise ModelRefused(
            f"The layer {layer.name!r} splits texts with code of its own: save the model without it, and declare a"
            f" tokenizer in {FILE_NAME}.",
            layer=layer.name,
        )
    if config["output_mode"] != "int":
        raise ModelRefused(
            f"The layer {layer.name!r} counts words (output_mode {config['output_mode']!r}), and gives no ids: save the"
            " model without it.",
            layer=layer.name,
        )
    ngrams = config["ngrams"]
    return {
        "words": layer.get_vocabulary(),
        "oov_id": 1,
        **_STANDARDIZE[standardize],
        "split": split or "whole",
        "ngrams": list(range(1, ngrams + 1)) if isinstance(ngrams, int) else list(ngrams or (1,)),
        "length": config["output_sequence_length"],
    }
