"""Signature of a Keras model: its inputs, flat and named, and the nested structure that they are packed into."""

import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from layerscope.errors import ModelRefused
from layerscope.graph.taps.tap import Input, Shape
from layerscope.graph.tracing.keras_versions import KERAS_3, version_of
from layerscope.models.manifest import FILE_NAME, Manifest


@dataclass(frozen=True)
class Signature:
    """The inputs of a model, flat, and how it is called with them.

    Attributes:
        inputs: what requests give.
        structure: a nest with numbers of `inputs` as leaves, None for an input that is left out: the model's only argument,
            or its keyword arguments.
        by_keyword: whether `structure` is a dictionary of keyword arguments.
        dtypes_assumed: whether the dtypes are unknown, so that an input may be one of integers.
        batch_size: the only batch size that the model was made for, if there is one.
        warnings: what was decided where nothing is declared.
        is_batch_fixed: whether the model runs with no other batch size.
    """

    inputs: tuple[Input, ...]
    structure: Any
    by_keyword: bool = False
    dtypes_assumed: bool = False
    batch_size: int | None = None
    warnings: tuple[str, ...] = ()
    is_batch_fixed: bool = False

    def packed(self, tensors: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments that call the model on one tensor an input."""
        nest = keras.tree.map_structure(
            lambda number: None if number is None else tensors[number], self.structure
        )
        return ((), nest) if self.by_keyword else ((nest,), {})

    def with_integers(self, names: Collection[str]) -> "Signature":
        """The same with these inputs as integers."""
        inputs = (replace(each, dtype="int32") if each.name in names else each for each in self.inputs)
        return replace(self, inputs=tuple(inputs), dtypes_assumed=False)

    def with_fixed_batch(self, *, is_stateful: bool) -> "Signature":
        """The same for a model that runs with no other batch size."""
        warning = f"The model runs on batches of {self.batch_size} only: each image runs alone, in a batch of copies."
        if is_stateful:
            warning += " The states that its layers keep between batches begin at zero for each image."
        return replace(self, is_batch_fixed=True, warnings=(*self.warnings, warning))


_NOTHING_DECLARED = Manifest()


def signature_of(model: Any, manifest: Manifest = _NOTHING_DECLARED) -> Signature:
    """Determine the signature of a model.

    Functional and sequential models know it; a subclassed model knows the shapes it was built with. The declaration may say
    which optional inputs are given, and the sizes that a model leaves open or does not know.

    Raises:
        ModelRefused: nothing tells the shapes of the inputs, or the declaration does not fit the model.
    """
    if getattr(model, "inputs", None):
        found = _known_signature(model, manifest)
    else:
        found = _built_signature(model, manifest)
    return replace(found, inputs=tuple(_sized(each, manifest.shapes) for each in found.inputs))


def _known_signature(model: Any, manifest: Manifest) -> Signature:
    """Keras keeps the tensors of a functional or sequential model."""
    tensors, names = model.inputs, _input_names(model)
    given = [
        (name, tensor)
        for name, tensor in zip(names, tensors, strict=True)
        if not _is_optional(tensor) or name in manifest.optional_inputs
    ] or list(zip(names, tensors, strict=True))
    _require_inputs(manifest, names)
    numbers = {id(tensor): number for number, (_, tensor) in enumerate(given)}
    shapes = [tuple(tensor.shape) for _, tensor in given]
    return Signature(
        inputs=tuple(
            Input(name, shape[1:], keras.backend.standardize_dtype(tensor.dtype))
            for (name, tensor), shape in zip(given, shapes, strict=True)
        ),
        structure=keras.tree.map_structure(lambda tensor: numbers.get(id(tensor)), _structure(model)),
        batch_size=shapes[0][0],
        warnings=tuple(_left_out(name) for name in names if name not in dict(given)),
    )


def _left_out(name: str) -> str:
    return f"Input {name!r} is optional and left out: name it in optional_inputs in {FILE_NAME} if requests give it."


def _is_optional(tensor: Any) -> bool:
    """Whether the input layer of a tensor is optional, which it can be in Keras 3 only."""
    operation = getattr(getattr(tensor, "_keras_history", None), "operation", None)
    return bool(getattr(operation, "optional", False))


def _require_inputs(manifest: Manifest, names: Sequence[str]) -> None:
    for field in ("optional_inputs", "shapes"):
        for name in getattr(manifest, field):
            if name not in names:
                raise ModelRefused(
                    f"{FILE_NAME}, {field}: the model has no input {name!r}; it has {', '.join(names)}.",
                    field=field,
                    inputs=list(names),
                )


def _input_names(model: Any) -> list[str]:
    """The names of the input layers; a tensor without one (sequential models of Keras 3 hide it) is just `input`."""
    if version_of(model) is not KERAS_3:
        return list(model.input_names)
    layers = [
        layer for layer in getattr(model, "operations", ()) if isinstance(layer, keras.layers.InputLayer)
    ]
    names = {id(layer.output): layer.name for layer in layers}
    return [names.get(id(tensor), "input") for tensor in model.inputs]


def _structure(model: Any) -> Any:
    """Sequential models have no `input` before their first symbolic call, and take a single tensor."""
    try:
        return model.input
    except AttributeError:
        return model.inputs[0] if len(model.inputs) == 1 else model.inputs


def _built_signature(model: Any, manifest: Manifest) -> Signature:
    """Keras keeps the shape of the one argument, which may be a nest, or the shapes of all by `<name>_shape`."""
    config = model.get_build_config() or {}
    arguments = {name.removesuffix("_shape"): shape for name, shape in config.get("shapes_dict", {}).items()}
    known = arguments or config.get("input_shape")
    if not known:
        return _declared_signature(model, manifest)
    shapes: dict[str, Any] = {}
    structure = _numbered(known, "input", shapes)
    _require_inputs(manifest, list(shapes))
    inputs = (_assumed(model, name, tuple(shape[1:])) for name, shape in shapes.items())
    return Signature(tuple(inputs), structure, by_keyword=bool(arguments), dtypes_assumed=True)


def _numbered(nest: Any, name: str, shapes: dict[str, Any]) -> Any:
    """A nest of shapes with their numbers in `shapes` as leaves, to which they are added by name. None stays None."""
    if isinstance(nest, Mapping):
        return {each: _numbered(nest[each], each, shapes) for each in sorted(nest)}
    if nest and isinstance(nest[0], (list, tuple, Mapping)):
        return [_numbered(each, f"{name}_{number}", shapes) for number, each in enumerate(nest)]
    if nest is None:
        return None
    shapes[name] = nest
    return len(shapes) - 1


def _declared_signature(model: Any, manifest: Manifest) -> Signature:
    """One input is the model's only argument; several are its keyword arguments, or a dictionary."""
    kind = type(model).__name__
    if not model.weights:
        raise ModelRefused(
            f"The model, a {kind}, has neither weights nor an input shape, because it was saved before it was called on data:"
            " call it on data, train it, and save it again.",
            model=kind,
        )
    if not manifest.shapes:
        raise ModelRefused(
            f"The model, a {kind}, does not know the shape of its input: declare it in {FILE_NAME}, such as"
            ' "shapes": {"input": [224, 224, 3]}, or save the model after it was called on data.',
            model=kind,
        )
    names = list(manifest.shapes)
    inputs = tuple(_assumed(model, name, manifest.shapes[name]) for name in names)
    by_keyword = len(names) > 1 and set(names) <= set(inspect.signature(model.call).parameters)
    structure = 0 if len(names) == 1 else {name: number for number, name in enumerate(names)}
    return Signature(inputs, structure, by_keyword=by_keyword, dtypes_assumed=True)


def _assumed(model: Any, name: str, shape: Shape) -> Input:
    # The dtype that a model casts its inputs to has another name in Keras 2.
    dtype = model.input_dtype if version_of(model) is KERAS_3 else model.compute_dtype
    return Input(name, shape, keras.backend.standardize_dtype(dtype))


def _sized(each: Input, declared: Mapping[str, Shape]) -> Input:
    """An input with the sizes that are declared where the model leaves them open."""
    shape = declared.get(each.name, each.shape)
    if len(shape) != len(each.shape) or any(_differences(shape, each.shape)):
        raise ModelRefused(
            f"{FILE_NAME} declares shape {list(shape)} for input {each.name!r}, which takes {list(each.shape)}.",
            input=each.name,
            declared=list(shape),
            expected=list(each.shape),
        )
    return replace(each, shape=tuple(shape))


def _differences(declared: Shape, known: Shape) -> Iterator[bool]:
    return (side is not None and side != other for side, other in zip(known, declared, strict=True))
