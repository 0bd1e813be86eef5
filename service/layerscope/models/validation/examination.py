"""The examination of a model file: all checks in their order, and the fresh file. Values of weights are read last."""

import hashlib
import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from layerscope.errors import ConfigInvalid, ModelTooLarge, ModelUnreadable
from layerscope.limits import Limits
from layerscope.models.file_kinds import foreign_kind
from layerscope.models.keras2.versions import is_keras_2
from layerscope.models.validation import archive, weights
from layerscope.models.validation.classes import require_known_classes
from layerscope.models.validation.config import Config, read_config
from layerscope.models.validation.kinds import SUFFIXES, kind_of
from layerscope.models.validation.repacking import without_training, write_keras, write_weights
from layerscope.models.validation.report import InputReport, Kind, Report
from layerscope.models.validation.shapes import require_few_parameters, require_shapes
from layerscope.models.validation.weights import StoredArray
from layerscope.models.validation.wiring import layers_of, require_wiring

_VERSION = re.compile(r"\d{1,3}(\.\w{1,12}){1,4}(-tf)?")
_ABOUT_AN_ARRAY = 4_096
_NO_TEXT = "The file holds nothing but weights: save the whole model with model.save('model.keras')."


def examine(
    path: Path, target: Path, limits: Limits, claim: Callable[[int], None] = lambda _: None
) -> Report:
    """Check a model file and write a fresh file of the checked parts.

    Args:
        path: the file.
        target: the fresh file. Its name ends in `.keras`, `.h5` or `.hdf5`, the format that `path` must have.
        limits: bounds of a model.
        claim: called with the length of a file before it is written.

    Raises:
        ModelRefused: one of its subclasses, with the reason and advice.
    """
    size = path.stat().st_size
    if size > limits.model_file_bytes:
        raise ModelTooLarge(
            f"The file has {size:,} bytes, and may have {limits.model_file_bytes:,}.",
            size=size,
            limit=limits.model_file_bytes,
        )
    kind = _kind(path, target)
    with tempfile.TemporaryDirectory() as folder:
        if kind == "keras":
            return _examine_keras(path, target, Path(folder), limits, claim)
        return _examine_hdf5(path, target, limits, claim)


def _kind(path: Path, target: Path) -> Kind:
    """The format, by the ending of the name and by the first bytes of the file, which must agree."""
    named: Kind = "keras" if target.suffix == ".keras" else "hdf5"
    kind = kind_of(path)
    foreign = None if kind == "keras" else foreign_kind(path)
    if foreign is not None:
        raise ModelUnreadable(f"The file is {foreign}.")
    if kind != named:
        hint = f"it looks like an {SUFFIXES[kind]} file, so name it that" if kind else "save the model again"
        raise ModelUnreadable(f"The file is not what its name {target.suffix!r} says: {hint}.")
    return named


def _examine_keras(
    path: Path, target: Path, folder: Path, limits: Limits, claim: Callable[[int], None]
) -> Report:
    with archive.opened(path, limits) as members:
        config = _read(members.config(), limits)
        version = _version(members.metadata(), limits)
        classes = _checked(config, limits, is_of_keras_2=is_keras_2(version or "", ""))
        require_few_parameters(config, limits)
        claim(members.weights_size)
        members.write_weights(folder / "uploaded.h5")
    with weights.opened(folder / "uploaded.h5") as file:
        arrays = [
            each for each in weights.read_arrays(file, limits) if not each.path.startswith("optimizer/")
        ]
        _require_weights(config, arrays)
        require_shapes(config, arrays)
        claim(_size(config, arrays))
        not_finite = write_weights(folder / "fresh.h5", file)
        write_keras(target, config, version, folder / "fresh.h5")
        return _report("keras", path, config, version, classes, arrays, not_finite)


def _examine_hdf5(path: Path, target: Path, limits: Limits, claim: Callable[[int], None]) -> Report:
    with weights.opened(path) as file:
        arrays = weights.read_arrays(file, limits)
        config = _read(_text(file, "model_config"), limits)
        is_of_keras_2 = is_keras_2(_text(file, "keras_version").decode(errors="replace"), json.dumps(config))
        classes = _checked(config, limits, is_of_keras_2=is_of_keras_2)
        require_few_parameters(config, limits)
        arrays = [each for each in arrays if each.path.startswith("model_weights/")]
        claim(_size(config, arrays))
        not_finite = write_weights(target, file, config)
        version = _text(file["model_weights"], "keras_version").decode() if "model_weights" in file else ""
        known = version if _VERSION.fullmatch(version) else None
        return _report("hdf5", path, config, known, classes, arrays, not_finite)


def _require_weights(config: Config, arrays: list[StoredArray]) -> None:
    if not arrays and not _inputs(config):
        raise ConfigInvalid(
            "The model has neither weights nor an input shape, because it was saved before it was called on data: call it on"
            " data, train it, and save it again.",
            path="$",
        )


def _size(config: Config, arrays: list[StoredArray]) -> int:
    """The length of the fresh file: its configuration, and its arrays with what HDF5 writes about each of them."""
    return len(json.dumps(config)) + sum(_ABOUT_AN_ARRAY + each.nbytes for each in arrays)


def _read(data: bytes, limits: Limits) -> Config:
    config: Config = without_training(read_config(data, limits))
    return config


def _checked(config: Config, limits: Limits, *, is_of_keras_2: bool) -> Counter[str]:
    """Check what Keras would build a model from; the number of layers by class."""
    require_known_classes(config, is_of_keras_2=is_of_keras_2)
    if not layers_of(config):
        raise ConfigInvalid("The configuration is not that of a model with layers.", path="$")
    return require_wiring(config, limits, is_of_keras_2=is_of_keras_2)


def _text(group: Any, name: str) -> bytes:
    """The text of an attribute; empty if it is missing."""
    try:
        value = group.attrs.get(name)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise ModelUnreadable("The file is damaged: save the model again.") from error
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return value
    if name == "model_config":
        raise ModelUnreadable(_NO_TEXT)
    return b""


def _version(data: bytes, limits: Limits) -> str | None:
    version = read_config(data, limits).get("keras_version")
    return version if isinstance(version, str) and _VERSION.fullmatch(version) else None


def _report(
    kind: Kind,
    path: Path,
    config: Config,
    version: str | None,
    classes: Counter[str],
    arrays: list[StoredArray],
    not_finite: list[str],
) -> Report:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    inner = config["config"]
    return Report(
        kind=kind,
        digest=f"sha256-{digest}",
        model=config["class_name"],
        name=str(inner.get("name", "") if isinstance(inner, dict) else "")[:1_000],
        keras_version=version,
        layers=dict(sorted(classes.items())),
        parameters=sum(each.size for each in arrays),
        weight_bytes=sum(each.nbytes for each in arrays),
        inputs=_inputs(config),
        warnings=_warnings(not_finite),
    )


def _inputs(config: Config) -> tuple[InputReport, ...]:
    layers = layers_of(config)
    starts = [each for each in layers if each.get("class_name") == "InputLayer"] or layers[:1]
    found = []
    for layer in starts:
        own = layer.get("config")
        own = own if isinstance(own, dict) else {}
        shape = own.get("batch_shape") or own.get("batch_input_shape")
        if (
            isinstance(shape, list)
            and len(shape) <= 64
            and all(each is None or isinstance(each, int) for each in shape)
        ):
            found.append(InputReport(str(own.get("name", "")), tuple(shape), _dtype(own.get("dtype"))[:100]))
    return tuple(found)


def _dtype(dtype: Any) -> str:
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name") if isinstance(dtype.get("config"), dict) else None
    return dtype if isinstance(dtype, str) else json.dumps(dtype)


def _warnings(not_finite: list[str]) -> tuple[str, ...]:
    warnings = []
    if not_finite:
        more = f" and {len(not_finite) - 3:,} more" if len(not_finite) > 3 else ""
        warnings.append(
            f"{', '.join(not_finite[:3])}{more} in the weights have NaN or infinities: activations behind them may, too."
        )
    return tuple(warnings)
