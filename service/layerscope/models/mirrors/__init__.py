"""Mirrors of models at remote places, in a directory of models on this machine."""

import hashlib
import re
from pathlib import Path

from layerscope.limits import Limits
from layerscope.models.mirrors.applications import PREFIX, Application, Weights
from layerscope.models.mirrors.demo import DEMO, Demo
from layerscope.models.mirrors.filesystems import Filesystem, is_url
from layerscope.models.mirrors.mirror import Mirror
from layerscope.models.mirrors.mlflow import MLFLOW, Mlflow
from layerscope.models.mirrors.places import Place

__all__ = ["DEMO", "is_elsewhere", "mirror_of"]

_APPLICATION = re.compile(rf"{re.escape(PREFIX)}[A-Za-z0-9]{{1,64}}")


def is_elsewhere(source: str) -> bool:
    """Whether a source is a remote place, and not a directory of this machine."""
    return source == DEMO or is_url(source) or any(kind.match(source) for kind in (_APPLICATION, MLFLOW))


def mirror_of(source: str, cache: Path, limits: Limits, weights: Weights = "none") -> Mirror:
    """The mirror of a place, in a folder that no other place uses.

    Args:
        source: a URL that fsspec understands, `keras.applications:NAME`, a model or a run of MLflow, or `layerscope:demo`.
        cache: where mirrors are kept.
        limits: see `Mirror`.
        weights: the weights of an architecture of Keras.

    Raises:
        OptionInvalid: the package that reaches it is not installed, or there is none.
        StorageFull, ControlRefused: the mirror cannot be made, see `storing`.
    """
    place = _place(source, weights)
    digest = hashlib.sha256(place.name.encode()).hexdigest()[:16]
    return Mirror(place, cache / f"models-{digest}", limits)


def _place(source: str, weights: Weights) -> Place:
    if source == DEMO:
        return Demo()
    if _APPLICATION.fullmatch(source):
        return Application(source.removeprefix(PREFIX), weights)
    if MLFLOW.fullmatch(source):
        return Mlflow(source)
    return Filesystem(source)
