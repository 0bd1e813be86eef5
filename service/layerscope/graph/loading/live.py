"""Loader of models that are in memory already: they are traced in this process, and no file is opened.

The trace copies the weights, so that what is served stays as it was when the model is trained on.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Self

import keras
import numpy as np

from layerscope.errors import ModelRefused
from layerscope.graph.loading.prepare import without_chance
from layerscope.graph.loading.serialize import serialize
from layerscope.graph.prepared.prepared_model import PreparedModel, anonymous_file, read
from layerscope.graph.tracing.signature import signature_of
from layerscope.graph.tracing.trace import Trace, trace
from layerscope.models.directory import ModelSource
from layerscope.models.manifest import Manifest


class LiveLoader(AbstractContextManager["LiveLoader"]):
    """Stands in for the process that opens models.

    Args:
        models: of Keras, by the name under which they are served.
    """

    def __init__(self, models: Mapping[str, Any]) -> None:
        self._models = dict(models)

    def __enter__(self) -> Self:
        """There is no process to start."""
        return self

    def __exit__(self, *error: object) -> None:
        """There is no process to end."""

    def load(self, source: ModelSource, seconds: int = 0) -> PreparedModel:  # noqa: ARG002 - as for all loaders
        """Prepare the model of this name; the declaration is the one in its folder.

        Args:
            source: names the model.
            seconds: without a meaning here: a thread cannot be ended.

        Raises:
            ModelRefused: it cannot be traced, or Keras runs on another backend than TensorFlow.
        """
        return prepare_live(self._models[source.name], Manifest.read(source.folder))


def prepare_live(model: Any, manifest: Manifest) -> PreparedModel:
    """Prepare a model that is in memory. It is afterwards as it was.

    Raises:
        ModelRefused: it cannot be traced, or Keras runs on another backend than TensorFlow.
    """
    if isinstance(model, keras.Operation) and keras.backend.backend() != "tensorflow":
        raise ModelRefused(
            f"Keras runs on {keras.backend.backend()} here: set KERAS_BACKEND=tensorflow before Keras is imported,"
            " or save the model and serve the file."
        )
    with _states_kept(model):
        traced = without_chance(trace(model, signature_of(model, manifest), manifest.layout_of))
    with anonymous_file() as file:
        serialize(
            file, traced, digest=_digest(traced, manifest), manifest=manifest, parameters=model.count_params()
        )
        return read(file)


@contextmanager
def _states_kept(model: Any) -> Iterator[None]:
    """Keep the states of stateful layers, which a trace resets."""
    states = [
        (state, keras.ops.convert_to_numpy(state))
        for layer in model._flatten_layers()  # noqa: SLF001 - as Keras itself finds them
        if getattr(layer, "stateful", False)
        for state in keras.tree.flatten(getattr(layer, "states", None))
        if state is not None
    ]
    try:
        yield
    finally:
        for state, value in states:
            state.assign(value)


def _digest(traced: Trace, manifest: Manifest) -> str:
    """SHA-256 over the graph, the values of its variables and the declaration."""
    digest = hashlib.sha256(traced.graph_def.SerializeToString(deterministic=True))
    for _, source in traced.captures:
        digest.update(np.ascontiguousarray(source.numpy()).tobytes())
    digest.update(manifest.model_dump_json().encode())
    return f"sha256-{digest.hexdigest()}"
