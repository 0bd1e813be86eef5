"""Folders and files in a directory of models that are no models: what they are, and what was expected in their place."""

from collections.abc import Collection, Iterator
from pathlib import Path

from layerscope.errors import ModelRefused
from layerscope.models.directory import (
    SUFFIXES,
    Key,
    entries_of,
    is_folder,
    is_model_name,
    is_version,
    model_folders,
)
from layerscope.models.file_kinds import FOREIGN_SUFFIXES, foreign_kind
from layerscope.models.ledger import LEDGER
from layerscope.models.manifest import FILE_NAME

_EXPECTED = (
    f"model.keras, model.h5, model.savedmodel, saved_model.pb, or a {FILE_NAME} that names an architecture"
)
_GRAPHS = frozenset({"saved_model.pb", "saved_model.pbtxt"})
_SHOWN = 3


def find_misplaced(directory: Path, found: Collection[Key]) -> dict[Key, ModelRefused]:
    """What looks like a version and is none, by the key under which it is listed, and why.

    Args:
        directory: where the models are.
        found: the versions that are there.
    """
    return {key: ModelRefused(why) for key, why in _problems(directory, found) if key not in found}


def _problems(directory: Path, found: Collection[Key]) -> Iterator[tuple[Key, str]]:
    names = {name for name, _ in found}
    for folder in model_folders(directory):
        entries = entries_of(folder) or []
        versions = [each for each in entries if is_version(each.name) and is_folder(each)]
        for version in versions:
            yield (folder.name, int(version.name)), _of_version(folder.name, version)
        # A ledger alone is what is left of a model whose versions were all removed.
        is_removed = [each.name for each in entries] == [LEDGER]
        if not versions and folder.name not in names and not is_removed:
            yield (folder.name, 1), _of_name(folder.name, entries)
    for file in directory.iterdir():
        if file.suffix.lower() in FOREIGN_SUFFIXES and is_model_name(file.stem):
            kind = foreign_kind(file)
            if kind is not None:
                yield (file.stem, 1), f"{file.name} is {kind}."


def _of_version(name: str, folder: Path) -> str:
    """Why there is no model in the folder of a version."""
    entries = sorted(entries_of(folder) or [])
    here = f"{name}/{folder.name}"
    for each in entries:
        if each.name.endswith(".weights.h5"):
            return (
                f"{here}/{each.name} holds weights without a model: save the whole model with model.save('model.keras'), or"
                f" declare its architecture in {FILE_NAME}."
            )
        if each.suffix.lower() in SUFFIXES:
            return f"{here}/{each.name} must be called model{each.suffix.lower()}: rename it."
    for each in entries:
        kind = None if is_folder(each) else foreign_kind(each)
        if kind is not None:
            return f"{here}/{each.name} is {kind}. There is no model in {here}: expected is {_EXPECTED}."
    holds = ", ".join(each.name for each in entries[:_SHOWN]) + (" …" if len(entries) > _SHOWN else "")
    return f"There is no model in {here}, which {f'holds {holds}' if holds else 'is empty'}: expected is {_EXPECTED}."


def _of_name(name: str, entries: list[Path]) -> str:
    """Why there is no version in the folder of a model."""
    for each in sorted(entries):
        if each.suffix.lower() in SUFFIXES:
            return f"{name}/{each.name} is in no version: move it to {name}/1/model{each.suffix.lower()}."
        if each.name in _GRAPHS or each.name == "model.savedmodel":
            return f"{name}/{each.name} is in no version: move the SavedModel into the folder {name}/1."
    for each in sorted(entries):
        if is_folder(each):
            return f"{name}/{each.name} is no version: the folder of a version is called by a whole number from 1, such as {name}/1."
    return f"There is no model in {name}: expected is the folder of a version, such as {name}/1, with {_EXPECTED}."
