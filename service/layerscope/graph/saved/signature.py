"""Signature of a SavedModel: its inputs and outputs, read from the file."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.saved_model.loader_impl import parse_saved_model

from layerscope.errors import ModelRefused
from layerscope.graph.saved.flattening import canonical
from layerscope.graph.taps.tap import Input
from layerscope.models.manifest import FILE_NAME

_DEFAULT = "serving_default"
_TAG = "serve"
_INITIALIZER = "__saved_model_init_op"


@dataclass(frozen=True)
class SavedSignature:
    """A signature of a SavedModel.

    `entrances` are the tensors of its graph that stand for `inputs`, in the same order; `outputs` pairs the name of
    each output with its tensor. `batch_size` is the one that it was saved for, None if it takes any.
    """

    name: str
    inputs: tuple[Input, ...]
    entrances: tuple[str, ...]
    outputs: tuple[tuple[str, str], ...]
    batch_size: int | None


def read_meta_graph(folder: Path) -> Any:
    """The graph that is meant for serving, of those in the SavedModel in `folder`.

    Raises:
        ModelRefused: its file is damaged, or has no such graph.
    """
    try:
        saved = parse_saved_model(str(folder))
    except OSError as error:
        raise ModelRefused(
            "There is no saved_model.pb in the SavedModel's folder, or it is damaged: copy the whole folder again, or"
            " export the model again with model.export('folder')."
        ) from error
    for meta_graph in saved.meta_graphs:
        if _TAG in meta_graph.meta_info_def.tags:
            return meta_graph
    raise ModelRefused(
        f"The SavedModel has no graph for serving, tagged {_TAG!r}: export the model again with"
        " model.export('folder')."
    )


def saved_signature(meta_graph: Any, wanted: str | None = None) -> SavedSignature:
    """The signature that is wanted; without one the default, else the only one that can be served.

    Raises:
        ModelRefused: there is no such signature, or it takes what is no batch of numbers.
    """
    signatures = {
        name: each for name, each in meta_graph.signature_def.items() if name != _INITIALIZER and each.outputs
    }
    if wanted is not None:
        if wanted not in signatures:
            raise ModelRefused(
                f"The SavedModel has no signature {wanted!r}; it has {_listed(signatures)}.",
                signatures=sorted(signatures),
            )
        return _read(wanted, signatures[wanted])
    usable: dict[str, SavedSignature] = {}
    refused: dict[str, ModelRefused] = {}
    for name, each in sorted(signatures.items()):
        try:
            usable[name] = _read(name, each)
        except ModelRefused as error:
            refused[name] = error
    if _DEFAULT in usable or len(usable) == 1:
        return usable.get(_DEFAULT) or next(iter(usable.values()))
    raise _undecided(usable, refused)


def _undecided(usable: Mapping[str, SavedSignature], refused: Mapping[str, ModelRefused]) -> ModelRefused:
    """The refusal of a SavedModel whose signature cannot be chosen: there are several, or none can be served."""
    if usable:
        example = next(iter(usable))
        return ModelRefused(
            f"The SavedModel has the signatures {_listed(usable)}: declare which to serve in {FILE_NAME}, such as"
            f' "signature": "{example}".',
            signatures=list(usable),
        )
    if len(refused) == 1:
        return next(iter(refused.values()))
    reasons = " ".join(f"{name}: {error.message}" for name, error in refused.items())
    return ModelRefused(
        f"The SavedModel has {'no signature' if not refused else 'none that can be served'}: export the model again with"
        f" model.export('folder'). {reasons}".strip(),
        signatures=list(refused),
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _read(signature: str, chosen: Any) -> SavedSignature:
    inputs = {name: chosen.inputs[name] for name in sorted(chosen.inputs, key=_natural)}
    shapes = [_shape(name, info) for name, info in inputs.items()]
    return SavedSignature(
        inputs=tuple(
            Input(name, shape[1:], tf.as_dtype(info.dtype).name)
            for (name, info), shape in zip(inputs.items(), shapes, strict=True)
        ),
        entrances=tuple(canonical(info.name) for info in inputs.values()),
        outputs=tuple(
            (name, canonical(chosen.outputs[name].name)) for name in sorted(chosen.outputs, key=_natural)
        ),
        name=signature,
        batch_size=next((shape[0] for shape in shapes if shape[0] is not None), None),
    )


def _shape(name: str, info: Any) -> tuple[int | None, ...]:
    dtype = tf.as_dtype(info.dtype)
    if dtype == tf.string:
        raise ModelRefused(
            f"Input {name!r} takes text: export the part of the model that takes numbers, and prepare texts before"
            " they are sent.",
            input=name,
        )
    if info.WhichOneof("encoding") != "name" or info.tensor_shape.unknown_rank or not info.tensor_shape.dim:
        raise ModelRefused(
            f"Input {name!r} is not a batch of tensors of one rank: export the model again with the shape of one"
            " image, and the batch axis before it.",
            input=name,
        )
    return tuple(axis.size if axis.size >= 0 else None for axis in info.tensor_shape.dim)


def _natural(name: str) -> list[tuple[int, str]]:
    """So that `output_2` comes before `output_10`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
