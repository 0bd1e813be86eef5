"""The formats of model files, which the first bytes tell."""

from pathlib import Path

from layerscope.errors import ModelUnreadable
from layerscope.models.file_kinds import foreign_kind
from layerscope.models.validation.report import Kind

STARTS: dict[Kind, bytes] = {"keras": b"PK\x03\x04", "hdf5": b"\x89HDF\r\n\x1a\n"}
SUFFIXES: dict[Kind, str] = {"keras": ".keras", "hdf5": ".h5"}


def kind_of(path: Path) -> Kind | None:
    """The format by the first bytes; None if it is not a model file."""
    with path.open("rb") as file:
        start = file.read(8)
    return next((kind for kind, known in STARTS.items() if start.startswith(known)), None)


def suffix_of(path: Path) -> str:
    """The ending of a model file's name. For a name without an ending, that of the format which the first bytes tell.

    Raises:
        ModelUnreadable: the name has no ending, and the file is not a model file.
    """
    if path.suffix or path.is_dir():
        return path.suffix
    kind = kind_of(path)
    if kind is None:
        foreign = foreign_kind(path)
        if foreign is not None:
            raise ModelUnreadable(f"The file is {foreign}.")
        raise ModelUnreadable(
            "The file is neither a .keras nor an .h5 file: save the model with model.save('model.keras')."
        )
    return SUFFIXES[kind]
