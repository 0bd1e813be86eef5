"""Loaded model: a traced model in memory that can run, with its declaration."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from layerscope.errors import InputMismatch, LayerscopeError, ModelRefused
from layerscope.graph.analysis.output_classes import OutputClasses
from layerscope.graph.analysis.rescaling import find_rescaling
from layerscope.graph.axes.inputs import image_fields
from layerscope.graph.local import LocalPaths
from layerscope.graph.prepared.prepared_model import PreparedModel
from layerscope.graph.receptive.field import ReceptiveFields
from layerscope.graph.rewrites import REWRITES, Rewrite
from layerscope.graph.runtime.example_inputs import example_inputs, example_shapes
from layerscope.graph.runtime.executable import Executable
from layerscope.graph.runtime.obstacles import Obstacles, find_obstacles
from layerscope.graph.runtime.plans import Runtime
from layerscope.graph.taps.mixing import mixing_warnings
from layerscope.graph.taps.selectors import TapIndex, split_selectors
from layerscope.graph.taps.tap import Input, Shape, Tap
from layerscope.images import Preprocessing
from layerscope.images.presets import PRESETS
from layerscope.limits import MIB, Limits
from layerscope.models.directory import ModelSource
from layerscope.models.manifest import FILE_NAME, Manifest
from layerscope.text import Tokenizer

Array = np.ndarray[Any, np.dtype[Any]]

logger = logging.getLogger(__name__)

_CHECK_BYTES = 512 * MIB
"""Memory that a run to check rewrites may take at most, estimated; a model that needs more runs with plain plans."""


@dataclass(frozen=True)
class ModelDescription:
    """Everything that is known of a loaded version without running it.

    Attributes:
        digest: names its file, its declaration and its plugins.
        inputs: of the model.
        preprocessing: how images become each input; None where an input does not take images.
        outputs: the model's own outputs, by name.
        classes: names of the classes, if declared.
        output_classes: the classes of each of these outputs, by its name.
        parameters: the number of its weights.
        memory_bytes: bytes of its weights in memory.
        taps: every value inside it.
        unreachable: paths of layers that run inside a loop or a branch, whose values cannot be fetched.
        opened_with: the package that opened its file, with its version, such as `keras 3.15.1`.
        samples: whether it draws random numbers that depend on the seed of a request.
        warnings: what was assumed where nothing is declared, and what else may surprise.
        obstacles: what is in the way of attributions.
        tokenizer: how text becomes its inputs; None for models that take no text.
        features: names of the numbers of inputs that are vectors, by input, if declared.
    """

    name: str
    version: int
    digest: str
    inputs: tuple[Input, ...]
    preprocessing: Mapping[str, Preprocessing | None]
    outputs: tuple[tuple[str, Tap], ...]
    classes: tuple[str, ...] | None
    output_classes: Mapping[str, OutputClasses]
    parameters: int
    memory_bytes: int
    taps: TapIndex
    unreachable: tuple[str, ...]
    opened_with: str
    samples: bool
    warnings: tuple[str, ...]
    obstacles: Obstacles = field(default_factory=Obstacles)
    tokenizer: Tokenizer | None = None
    features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def features_of(self, tap: Tap) -> tuple[str, ...] | None:
        """The names of the numbers of a tap, if it is an input for which they are declared."""
        own = zip(self.inputs, self.taps.select(["input"]), strict=True)
        return next((self.features.get(each.name) for each, given in own if given == tap), None)


@dataclass(frozen=True)
class LoadedModel:
    """A version of a model in memory.

    Attributes:
        description: what is known without a run.
        executable: runs it.
        fields: the receptive fields of its units.
        local_paths: the paths along which a local change of an image is computed.
        labels: those that its declaration wants.
        watched: the taps that are fetched with every run of an image, for the metrics of watched layers.
    """

    description: ModelDescription
    executable: Executable
    fields: ReceptiveFields
    local_paths: LocalPaths
    labels: tuple[str, ...]
    watched: tuple[Tap, ...] = ()

    @property
    def memory_bytes(self) -> int:
        """Bytes of its weights in memory."""
        return self.description.memory_bytes

    def close(self) -> None:
        """Free all memory."""
        self.executable.close()


def assemble(
    source: ModelSource,
    prepared: PreparedModel,
    *,
    plan_bytes: int,
    exact: bool = True,
    rewrites: Sequence[Rewrite] = REWRITES,
    runtime: Runtime = "tensorflow",
    watched: Callable[[TapIndex], Sequence[Tap]] = lambda _: (),
    data_sized_bytes: int = Limits().data_sized_bytes,
) -> LoadedModel:
    """Make a loaded model of a prepared one. It uses the memory of the prepared model for its weights.

    Args:
        source: of the model.
        prepared: from `LoaderProcess.load`, or from `prepare` in this process.
        plan_bytes: memory for the plans that it keeps.
        exact: whether each image runs by itself, whatever images come together; see `Executable`.
        rewrites: what makes its plans faster. They are checked on an example, and left out if they change values.
        runtime: what runs its plans.
        watched: chooses the layers that are watched.
        data_sized_bytes: see `Executable`.

    Raises:
        ModelRefused: its declaration does not fit it.
    """
    metadata, manifest = prepared.metadata, prepared.metadata.manifest
    preprocessing, warnings = _preprocessing(prepared)
    inputs = [call.taps[0].address for call in metadata.calls[: len(metadata.inputs)]]
    taps = TapIndex(metadata.calls, inputs, [address for _, address in metadata.outputs])
    features = _features(prepared)
    warm_up = _warm_up(manifest, taps)
    if metadata.tokenizer is not None:
        # Reads its vocabulary, which the first text would wait for.
        metadata.tokenizer.require_usable()
    executable = Executable(
        prepared,
        plan_bytes=plan_bytes,
        exact=exact,
        rewrites=rewrites,
        runtime=runtime,
        data_sized_bytes=data_sized_bytes,
    )
    outputs = tuple((name, taps[address]) for name, address in metadata.outputs)
    problem = executable.plans.check_rewrites(
        prepared, [tap for _, tap in outputs], _examples(executable, outputs, preprocessing)
    )
    if problem is not None:
        logger.warning(
            "Graph rewrites are off for model %s@%d: %s. It runs with plain plans.",
            source.name,
            source.version,
            problem,
        )
    fetched_along = tuple(watched(taps))
    for choice in warm_up:
        executable.plans.compile([*choice, *fetched_along])
    description = ModelDescription(
        name=source.name,
        version=source.version,
        digest=metadata.digest,
        inputs=metadata.inputs,
        preprocessing=preprocessing,
        outputs=outputs,
        classes=manifest.classes,
        output_classes={
            name: OutputClasses.of(tap, executable.inspection.logits(tap).activation, manifest.classes)
            for name, tap in outputs
        },
        parameters=metadata.parameters,
        memory_bytes=executable.plans.weight_bytes,
        taps=taps,
        unreachable=metadata.unreachable,
        opened_with=metadata.opened_with,
        samples=executable.samples,
        warnings=(*metadata.warnings, *mixing_warnings(metadata.calls), *warnings),
        obstacles=find_obstacles(
            executable.inspection,
            metadata.inputs,
            [tap for _, tap in outputs],
            [tap for call in metadata.calls for tap in call.taps],
        ),
        tokenizer=metadata.tokenizer,
        features=features,
    )
    fields = ReceptiveFields(prepared)
    local_paths = LocalPaths(executable, fields, taps)
    return LoadedModel(description, executable, fields, local_paths, manifest.labels, fetched_along)


def _examples(
    executable: Executable,
    outputs: Sequence[tuple[str, Tap]],
    preprocessing: Mapping[str, Preprocessing | None],
) -> Iterator[Sequence[Array]]:
    """Inputs to check rewrites on, of sizes that the model can run in little memory."""
    taps = [tap for _, tap in outputs]
    for shapes in example_shapes(executable.inputs):
        with suppress(InputMismatch):
            if executable.inspection.peak_bytes(taps, shapes) <= _CHECK_BYTES:
                yield [*example_inputs(executable.inputs, preprocessing, shapes), *executable.seeds(0, 1)]


def _warm_up(manifest: Manifest, taps: TapIndex) -> list[list[Tap]]:
    try:
        return [taps.select(split_selectors([choice])) for choice in manifest.warm_up]
    except LayerscopeError as error:
        raise ModelRefused(f"{FILE_NAME}, warm_up: {error.message}", **error.details) from error


def _preprocessing(prepared: PreparedModel) -> tuple[dict[str, Preprocessing | None], tuple[str, ...]]:
    metadata, manifest = prepared.metadata, prepared.metadata.manifest
    manifest.require_inputs([each.name for each in metadata.inputs])
    result: dict[str, Preprocessing | None] = {}
    warnings = []
    for index, each in enumerate(metadata.inputs):
        declaration = manifest.preprocessing_of(each.name)
        shape = image_fields(each, axes=metadata.calls[index].taps[0].axes)
        if shape is None:
            result[each.name] = None
            continue
        preset, reason = ("", "") if declaration is not None else _assumption(prepared, index)
        declared = declaration if declaration is not None else {"preset": preset, "assumed": True}
        fields = {**shape, **_order_of_preset(declared), **declared}
        result[each.name] = _agreed(each, Preprocessing.declared(fields))
        if declaration is None:
            warnings.append(
                f"No preprocessing is declared for input {each.name!r}: {preset!r} was assumed{reason}."
                f" Declare it in {FILE_NAME}."
            )
    return result, tuple(warnings)


def _features(prepared: PreparedModel) -> Mapping[str, tuple[str, ...]]:
    declared = prepared.metadata.manifest.features
    for each, call in zip(prepared.metadata.inputs, prepared.metadata.calls, strict=False):
        names = declared.get(each.name)
        if names is not None and (call.taps[0].axes != ("channels",) or each.shape != (len(names),)):
            counted = ", ".join(call.taps[0].axes)
            raise ModelRefused(
                f"{FILE_NAME} names {len(names)} features of input {each.name!r}, which takes {list(each.shape)} ({counted}):"
                " names are for a vector of as many numbers.",
                field="features",
            )
    return declared


def _order_of_preset(declaration: Mapping[str, object]) -> dict[str, object]:
    """The order of colours is the preset's, if it has one: the shape of the input does not tell rgb from bgr."""
    preset = PRESETS.get(str(declaration.get("preset")), {})
    return {name: value for name, value in preset.items() if name == "color"}


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


def _assumption(prepared: PreparedModel, index: int) -> tuple[str, str]:
    """The preset for an input without a declaration, and why it is not the usual one or may be wrong."""
    if prepared.metadata.inputs[index].dtype == "uint8":
        return "none", ", for it takes whole numbers"
    rescaling = find_rescaling(prepared, index)
    if rescaling is None or rescaling.takes == "unit":
        return "unit", ""
    if rescaling.takes == "pixels":
        return "none", f", for the model computes {rescaling.found} itself"
    return "unit", f", though the model computes {rescaling.found} first and may take other values"
