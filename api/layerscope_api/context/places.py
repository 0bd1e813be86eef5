"""Places: the folders and addresses that an operator has named, which are all that a request can name."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from layerscope.errors import ControlRefused, DataSetUnreadable, OptionInvalid, PlaceNotFound

if TYPE_CHECKING:
    from layerscope.extraction.data_sets import DataSet

PLACE_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
"""The names that a place may have."""

RESERVED = "dataset"
"""The one name that no place may have: `dataset:…` names data sets."""

_REFERENCE = re.compile(r"([a-z0-9][a-z0-9_-]{0,63}):([^\\\x00-\x1f\x7f]{0,1000})")


def canonical(reference: str) -> str:
    """A reference as it is written with nothing to spare: `photos:2026` for `photos:./2026/`."""
    name, _, path = reference.partition(":")
    return f"{name}:{'/'.join(part for part in path.split('/') if part not in {'', '.'})}"


class Places:
    """What the setting `places` names.

    Args:
        places: a folder of this machine, or the URL of one elsewhere, by name.
        writable: the names of those that may be written to.
    """

    def __init__(self, places: Mapping[str, str], writable: Collection[str]) -> None:
        self._places = places
        self._writable = writable

    def data(self, reference: str) -> str:
        """The path or URL of data that is read.

        Args:
            reference: `photos:2026/`, the name of a place and what is meant below it.

        Raises:
            OptionInvalid: it is not written like that, or leads out of its place.
            PlaceNotFound: there is no such place.
        """
        return self._find("data", reference)[1]

    def root(self, reference: str) -> Path | None:
        """The folder that nothing may be outside of which is found by a reference; None for a place elsewhere."""
        root = self._places[reference.partition(":")[0]]
        return None if "://" in root else Path(root)

    def named(self, text: str) -> str:
        """A text for callers: where it has a folder of this machine or a URL, it has the name of the place."""
        for name, root in sorted(self._places.items(), key=lambda each: -len(each[1])):
            text = text.replace(root.rstrip("/") + "/", f"{name}:").replace(root.rstrip("/"), f"{name}:")
        return text

    def data_set(self, reference: str) -> "DataSet":
        """The data set at a reference. Links that lead out of the place are not followed.

        Raises:
            OptionInvalid, PlaceNotFound: as for `data`.
            DataSetUnreadable: there are no images there.
        """
        # Settings know places, and commands that run no model know settings: TensorFlow takes seconds.
        from layerscope.extraction.data_sets import open_data_set  # noqa: PLC0415

        try:
            return open_data_set(self.data(reference), self.root(reference))
        except DataSetUnreadable as error:
            raise DataSetUnreadable(self.named(error.message)) from error

    def file(self, reference: str) -> Path:
        """A file of this machine that is read.

        Raises:
            OptionInvalid, PlaceNotFound: as for `data`, or the place is elsewhere.
        """
        found = self.data(reference)
        if "://" in found:
            raise OptionInvalid(f"{reference[:80]} is not on this machine: copy it to a place that is.")
        return Path(found)

    def output(self, reference: str) -> str:
        """The path or URL of a folder that is written to; see `data`.

        Raises:
            ControlRefused: nothing may be written to that place.
        """
        name, found = self._find("to", reference)
        if name not in self._writable:
            raise ControlRefused(
                f"Nothing may be written to the place {name}.", writable=sorted(self._writable)
            )
        return found

    def _find(self, option: str, reference: str) -> tuple[str, str]:
        written = _REFERENCE.fullmatch(reference)
        if written is None:
            raise OptionInvalid(
                f"{option} must name a place and a path below it, such as photos:2026/.", option=option
            )
        name, path = written.groups()
        if name not in self._places:
            raise PlaceNotFound(f"There is no place {name}.", places=sorted(self._places))
        if path.startswith("/") or ".." in path.split("/") or "://" in path:
            raise OptionInvalid(f"{option} must be below the place {name}.", option=option)
        root = self._places[name]
        if "://" in root:
            return name, f"{root.rstrip('/')}/{path}"
        found = Path(root, path)
        if not found.resolve().is_relative_to(Path(root).resolve()):
            raise OptionInvalid(f"{option} leads out of the place {name} by a link.", option=option)
        return name, str(found)
