"""A model in memory: traced, executable, with its declaration."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from layerscope.errors import ModelRefused
from layerscope.graph.executable import Executable
from layerscope.graph.selectors import TapIndex
from layerscope.graph.signature import signature_of
from layerscope.graph.taps import Input, Shape, Tap
from layerscope.graph.tracing import Trace, trace
from layerscope.images import Preprocessing
from layerscope.models.directory import ModelSource
from layerscope.models.formats import open_model
from layerscope.models.manifest import FILE_NAME, Manifest

_CHANNELS = {1: "grey", 3: "rgb", 4: "rgba"}
_CHUNK = 1 << 20


@dataclass(frozen=True)
class ModelDescription:
    """Everything there is to know about a loaded version without running it.

    Attributes:
        digest: names its file and its declaration.
        inputs: what it is called with.
        preprocessing: how images become each input; None where an input does not take images.
        outputs: the model's own outputs, by name.
        classes: names of the classes, if declared.
        parameters: how many numbers its weights are.
        memory_bytes: what its weights take in memory.
        taps: every value inside it.
        unreachable: paths of layers that run inside a loop, whose values cannot be had.
        warnings: what was assumed.
    """

    name: str
    version: int
    digest: str
    inputs: tuple[Input, ...]
    preprocessing: Mapping[str, Preprocessing | None]
    outputs: tuple[tuple[str, Tap], ...]
    classes: tuple[str, ...] | None
    parameters: int
    memory_bytes: int
    taps: TapIndex
    unreachable: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class LoadedModel:
    """A version of a model in memory: what it is, and what runs it."""

    description: ModelDescription
    executable: Executable
    labels: tuple[str, ...]

    def close(self) -> None:
        """Give back all memory."""
        self.executable.close()


def load_model(source: ModelSource, *, plans: int) -> LoadedModel:
    """Open, trace and take over the weights of a model; the Keras objects are dropped.

    Args:
        source: where the model is.
        plans: how many compiled plans it may keep.

    Raises:
        ModelRefused: it cannot be opened, traced or run.
    """
    manifest = Manifest.read(source.folder)
    model = open_model(source.path, [_beside(source.folder, name) for name in manifest.plugins])
    traced = trace(model, signature_of(model))
    preprocessing, warnings = _preprocessing(manifest, traced)
    executable = Executable(traced, plans=plans)
    inputs = [call.taps[0].address for call in traced.calls[: len(traced.inputs)]]
    description = ModelDescription(
        name=source.name,
        version=source.version,
        digest=_digest(source),
        inputs=traced.inputs,
        preprocessing=preprocessing,
        outputs=traced.outputs,
        classes=manifest.classes,
        parameters=model.count_params(),
        memory_bytes=executable.weight_bytes,
        taps=TapIndex(traced.calls, inputs, [tap.address for _, tap in traced.outputs]),
        unreachable=traced.unreachable,
        warnings=warnings,
    )
    return LoadedModel(description, executable, manifest.labels)


def _beside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if folder.resolve() not in path.parents:
        raise ModelRefused("A plugin must be a file in the model's own folder.", plugin=name)
    return path


def _digest(source: ModelSource) -> str:
    """SHA-256 over the declaration and the file, so that a changed declaration is another model."""
    digest = hashlib.sha256()
    declaration = source.folder / FILE_NAME
    digest.update(declaration.read_bytes() if declaration.is_file() else b"")
    digest.update(b"\0")
    with source.path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return f"sha256-{digest.hexdigest()}"


def _preprocessing(
    manifest: Manifest, traced: Trace
) -> tuple[dict[str, Preprocessing | None], tuple[str, ...]]:
    manifest.require_inputs([each.name for each in traced.inputs])
    result: dict[str, Preprocessing | None] = {}
    warnings = []
    for each in traced.inputs:
        declaration = manifest.preprocessing_of(each.name)
        shape = _image_shape(each)
        if shape is None:
            result[each.name] = None
            continue
        fields = {**shape, **(declaration if declaration is not None else _assumption(traced))}
        result[each.name] = _agreed(each, Preprocessing.declared(fields))
        if declaration is None:
            warnings.append(
                f"No preprocessing is declared for input {each.name!r}: {fields['preset']!r} was assumed."
                f" Declare it in {FILE_NAME}."
            )
    return result, tuple(warnings)


def _image_shape(each: Input) -> dict[str, object] | None:
    """Size, colour and layout that images must have to fit an input; None if it is no input for images."""
    if len(each.shape) != 3 or not each.dtype.startswith(("float", "bfloat", "uint8")):
        return None
    *rows, last = each.shape
    if last in _CHANNELS:
        layout, channels, sides = "nhwc", last, rows
    elif each.shape[0] in _CHANNELS:
        layout, channels, sides = "nchw", each.shape[0], list(each.shape[1:])
    else:
        return None
    size = None if None in sides else sides
    return {"size": size, "color": _CHANNELS[channels], "layout": layout}


def _agreed(each: Input, preprocessing: Preprocessing) -> Preprocessing:
    size, channels = preprocessing.size or (None, None), preprocessing.channels
    made: Shape = (*size, channels) if preprocessing.layout == "nhwc" else (channels, *size)
    if any(None not in {m, wanted} and m != wanted for m, wanted in zip(made, each.shape, strict=True)):
        raise ModelRefused(
            f"{FILE_NAME} declares images of shape {list(made)} for input {each.name!r}, which takes {list(each.shape)}.",
            input=each.name,
            declared=list(made),
            expected=list(each.shape),
        )
    return preprocessing


def _assumption(traced: Trace) -> dict[str, object]:
    """A model that rescales its input itself takes pixels as they are."""
    inside = any(call.type in {"Rescaling", "Normalization"} for call in traced.calls)
    return {"preset": "none" if inside else "unit", "assumed": True}
