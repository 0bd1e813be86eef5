"""Signature of a Keras model: its inputs, flat and named, and the nested structure that they are packed into."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from layerscope.errors import ModelRefused
from layerscope.graph.taps.tap import Input


@dataclass(frozen=True)
class Signature:
    """The inputs of a model, flat, and how it is called with them.

    Attributes:
        inputs: in the order of the leaves of `structure`.
        structure: a nest with one leaf for each input: the model's only argument, or its keyword arguments.
        by_keyword: whether `structure` is a dictionary of keyword arguments.
        dtypes_assumed: whether the dtypes are unknown, so that an input may be one of integers.
        batch_size: the only batch size that the model was made for, if there is one.
    """

    inputs: tuple[Input, ...]
    structure: Any
    by_keyword: bool = False
    dtypes_assumed: bool = False
    batch_size: int | None = None

    def packed(self, tensors: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments that call the model on one tensor an input."""
        nest = keras.tree.pack_sequence_as(self.structure, list(tensors))
        return ((), nest) if self.by_keyword else ((nest,), {})

    def with_integers(self, names: Collection[str]) -> "Signature":
        """The same with these inputs as integers."""
        inputs = (replace(each, dtype="int32") if each.name in names else each for each in self.inputs)
        return replace(self, inputs=tuple(inputs), dtypes_assumed=False)


def signature_of(model: Any) -> Signature:
    """Determine the signature of a model.

    Functional and sequential models know it; a subclassed model knows the shapes it was built with.

    Raises:
        ModelRefused: a model that was never built.
    """
    if getattr(model, "inputs", None):
        shapes = [tuple(tensor.shape) for tensor in model.inputs]
        dtypes = [keras.backend.standardize_dtype(tensor.dtype) for tensor in model.inputs]
        inputs = _inputs(_input_names(model), shapes, dtypes)
        return Signature(inputs, _structure(model), batch_size=shapes[0][0])
    return _built_signature(model)


def _input_names(model: Any) -> list[str]:
    """The names of the input layers; a tensor without one (sequential models hide it) is just `input`."""
    layers = [
        layer for layer in getattr(model, "operations", ()) if isinstance(layer, keras.layers.InputLayer)
    ]
    names = {id(layer.output): layer.name for layer in layers}
    return [names.get(id(tensor), "input") for tensor in model.inputs]


def _inputs(names: Sequence[str], shapes: Sequence[Any], dtypes: Sequence[str]) -> tuple[Input, ...]:
    rows = zip(names, shapes, dtypes, strict=True)
    return tuple(Input(name, tuple(shape[1:]), dtype) for name, shape, dtype in rows)


def _structure(model: Any) -> Any:
    """Sequential models have no `input` before their first symbolic call, and take a single tensor."""
    try:
        return model.input
    except AttributeError:
        return model.inputs[0] if len(model.inputs) == 1 else model.inputs


def _built_signature(model: Any) -> Signature:
    """Keras keeps the shape of the one argument, which may be a nest, or the shapes of all by `<name>_shape`."""
    config = model.get_build_config() or {}
    arguments = {name.removesuffix("_shape"): shape for name, shape in config.get("shapes_dict", {}).items()}
    shapes, structure = _by_name(arguments or config.get("input_shape"))
    if not shapes:
        raise ModelRefused(
            "The model does not know its input shape: save it after it was called or built on data.",
            model=type(model).__name__,
        )
    dtypes = [keras.backend.standardize_dtype(model.input_dtype)] * len(shapes)
    inputs = _inputs(list(shapes), list(shapes.values()), dtypes)
    return Signature(inputs, structure, by_keyword=bool(arguments), dtypes_assumed=True)


def _by_name(shape: Any) -> tuple[dict[str, Any], Any]:
    """Shapes by name, in the order in which a nest is packed, and that nest with the names as leaves."""
    if isinstance(shape, Mapping):
        return {name: shape[name] for name in sorted(shape)}, {name: name for name in shape}
    if shape and isinstance(shape[0], (list, tuple)):
        shapes = {f"input_{number}": each for number, each in enumerate(shape)}
        return shapes, list(shapes)
    return ({"input": shape}, "input") if shape else ({}, None)
