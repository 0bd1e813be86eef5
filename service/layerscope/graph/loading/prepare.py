"""Preparation of a model: its file is opened and traced, and the trace is written to a file.

This runs code that comes with the model, such as its plugins. A service does it in another process, see `loader`.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from layerscope.errors import ModelRefused
from layerscope.graph.analysis.data_sizes import require_known_sizes
from layerscope.graph.loading.serialize import serialize
from layerscope.graph.prepared.prepared_model import PreparedModel, anonymous_file, read
from layerscope.graph.rewrites.fixed_noise import SEED, is_seeded, noise_warnings, with_fixed_noise
from layerscope.graph.saved.model import trace_saved_model
from layerscope.graph.tracing.signature import signature_of
from layerscope.graph.tracing.trace import Trace, trace
from layerscope.models.architectures import build_architecture, preset_of, require_no_architecture
from layerscope.models.directory import ModelSource, require_readable
from layerscope.models.formats import open_model
from layerscope.models.manifest import FILE_NAME, Manifest
from layerscope.models.model_files import ModelFiles
from layerscope.models.probing import require_held, run_once, variables_held
from layerscope.models.text_layers import without_text_layer
from layerscope.models.tokenizer_files import read_tokenizer
from layerscope.text import Tokenizer, TokenizerDeclaration

_OF_KERAS_FILES = ("shapes", "optional_inputs", "trust_code")
"""The fields of a declaration that say how Keras opens a file."""


def prepare(source: ModelSource) -> PreparedModel:
    """Prepare a model in this process.

    Raises:
        ModelRefused: it cannot be opened or traced.
    """
    with anonymous_file() as file:
        prepare_into(file, source)
        return read(file)


def prepare_into(file: BinaryIO, source: ModelSource) -> None:
    """Prepare a model and write it to a file.

    Raises:
        ModelRefused: it cannot be opened or traced, or must be trusted and is not.
    """
    require_readable(source)
    _require_trust(source)
    files = ModelFiles.of(source)
    made, parameters, vocabulary = _traced(source, files.manifest, files.plugins)
    made = without_chance(made)
    serialize(
        file,
        made,
        digest=files.digest,
        manifest=_with_preset(files.manifest),
        parameters=parameters,
        tokenizer=_tokenizer(files, vocabulary, made),
    )


def _tokenizer(files: ModelFiles, vocabulary: str | None, made: Trace) -> Tokenizer | None:
    """The tokenizer that is declared, or that of the vocabulary of the model's own text layer."""
    declared = files.manifest.tokenizer or TokenizerDeclaration()
    inputs = {each.name: each.shape for each in made.inputs}
    if vocabulary is not None:
        if files.tokenizer is not None:
            raise ModelRefused(
                f"{FILE_NAME} declares a file for the tokenizer, and the model has its vocabulary itself: leave it out.",
                field="tokenizer.file",
            )
        return Tokenizer.of("text_vectorization", vocabulary, declared, inputs)
    if files.tokenizer is not None:
        return read_tokenizer(files.tokenizer, declared, inputs)
    if files.manifest.tokenizer is not None:
        raise ModelRefused(
            f"{FILE_NAME} must name the file of the tokenizer: the model has no vocabulary itself.",
            field="tokenizer.file",
        )
    return None


def _traced(source: ModelSource, manifest: Manifest, plugins: list[Path]) -> tuple[Trace, int, str | None]:
    """Trace a model, by what it is, and count its parameters; and the vocabulary of its text layer, if it has one."""
    if source.path.name == FILE_NAME:
        model = build_architecture(manifest, source.folder)
        return trace(model, signature_of(model, manifest), manifest.layout_of), model.count_params(), None
    require_no_architecture(manifest)
    if not source.path.is_dir():
        _require_undeclared(manifest, ("signature",), "only a SavedModel has signatures")
    if source.path.is_dir():
        _require_undeclared(
            manifest, _OF_KERAS_FILES, "a SavedModel has all its sizes and inputs in its graph"
        )
        made = trace_saved_model(source.path, source.signature or manifest.signature, manifest.layout_of)
        return made, sum(variable.size for _, variable in made.captures), None
    model, vocabulary = without_text_layer(_opened(source, manifest, plugins))
    signature = signature_of(model, manifest)
    if source.bounds is not None:
        shapes = [((signature.batch_size or 1, *each.shape), each.dtype) for each in signature.inputs]
        run_once(model, shapes, signature.packed)
    made = trace(model, signature, manifest.layout_of)
    if source.bounds is not None:
        require_known_sizes(made.graph_def)
    return made, model.count_params(), vocabulary


def without_chance(made: Trace) -> Trace:
    """The same trace, in which an image always gives the same values with a seed, and what a caller must know of that."""
    graph_def = with_fixed_noise(made.graph_def)
    tensors = [tap.tensor.name for call in made.calls for tap in call.taps]
    warnings = (*made.warnings, *noise_warnings(graph_def, tensors))
    return replace(made, graph_def=graph_def, seed=SEED if is_seeded(graph_def) else None, warnings=warnings)


def _require_undeclared(manifest: Manifest, fields: Iterable[str], why: str) -> None:
    for field in fields:
        if getattr(manifest, field):
            raise ModelRefused(f"{FILE_NAME} declares {field}, but {why}: leave it out.", field=field)


def _opened(source: ModelSource, manifest: Manifest, plugins: list[Path]) -> Any:
    if source.bounds is None:
        return open_model(source.path, plugins, trust_code=manifest.trust_code)
    require_held(source.path, source.bounds)
    with variables_held(source.path, source.bounds):
        return open_model(source.path, plugins)


def _require_trust(source: ModelSource) -> None:
    if source.path.is_dir() and not source.trusted:
        raise ModelRefused(
            "A SavedModel is a program: start with --trust-savedmodel if you trust whoever made it, or save the model"
            " as model.keras."
        )


def _with_preset(manifest: Manifest) -> Manifest:
    """The declaration; if it has no preprocessing, with that which the declared architecture was trained with."""
    preset = preset_of(manifest)
    if preset is None or manifest.preprocessing is not None:
        return manifest
    return manifest.model_copy(update={"preprocessing": {"preset": preset}})
