"""What a Keras model is called with: its inputs, flat and named, and the nest they are packed into."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from layerscope.errors import ModelRefused
from layerscope.graph.taps import Shape


@dataclass(frozen=True)
class Input:
    """One input of a model: its name, its shape without the batch axis, and the dtype it is fed in."""

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class Signature:
    """The inputs of a model, flat, and `structure`, a nest with one leaf an input that the model is called with."""

    inputs: tuple[Input, ...]
    structure: Any


def signature_of(model: Any) -> Signature:
    """Find out what `model` is called with.

    Functional and sequential models know it; a subclassed model knows the shapes it was built with.

    Raises:
        ModelRefused: a model that was never built.
    """
    if getattr(model, "inputs", None):
        tensors = model.inputs
        names = [tensor.name for tensor in tensors]
        shapes = [tuple(tensor.shape) for tensor in tensors]
        dtypes = [keras.backend.standardize_dtype(tensor.dtype) for tensor in tensors]
        return Signature(_inputs(names, shapes, dtypes), _structure(model))
    shapes_by_name = _built_shapes(model)
    if not shapes_by_name:
        raise ModelRefused(
            "The model does not know its input shape: save it after it was called or built on data.",
            model=type(model).__name__,
        )
    names = list(shapes_by_name)
    dtypes = [keras.backend.standardize_dtype(model.input_dtype)] * len(names)
    structure = names[0] if len(names) == 1 else names
    return Signature(_inputs(names, [tuple(shape) for shape in shapes_by_name.values()], dtypes), structure)


def _inputs(names: list[str], shapes: list[tuple[Any, ...]], dtypes: list[str]) -> tuple[Input, ...]:
    return tuple(Input(name, shape[1:], dtype) for name, shape, dtype in zip(names, shapes, dtypes, strict=True))


def _structure(model: Any) -> Any:
    """Sequential models have no `input` before their first symbolic call, and take a single tensor."""
    try:
        return model.input
    except AttributeError:
        return model.inputs[0] if len(model.inputs) == 1 else model.inputs


def _built_shapes(model: Any) -> Mapping[str, Any]:
    config = model.get_build_config() or {}
    if "shapes_dict" in config:
        return {name.removesuffix("_shape"): shape for name, shape in config["shapes_dict"].items()}
    shape = config.get("input_shape")
    if isinstance(shape, Mapping):
        return shape
    if shape and isinstance(shape[0], (list, tuple)):
        return {f"input_{number}": each for number, each in enumerate(shape)}
    return {"input": shape} if shape else {}
