"""Data sets of texts: a .jsonl file, with an object a line."""

from collections.abc import Iterator

from pydantic_core import from_json

from layerscope.errors import DataSetUnreadable, InvalidRequest, TextUnreadable
from layerscope.execution.inputs import TextSource
from layerscope.extraction.data_sets.archives import require_unchanged
from layerscope.extraction.data_sets.data_set import Row, input_changed, listing, reading, require_short
from layerscope.extraction.places import Place
from layerscope.limits import MIB
from layerscope.text import Text, ids_of

_LONGEST_LINE = 16 * MIB


class Texts:
    """The texts of a .jsonl file, read from their lines.

    Args:
        place: that has the file.
        name: of the file.
        key: of the text, or of the ids of its tokens, in the object of each line; None for `text`.
    """

    def __init__(self, place: Place, name: str, key: str | None) -> None:
        self._place = place
        self._name = name
        self._key = key or "text"

    def rows(self) -> Iterator[Row]:
        """One row for each line that is not blank; its path is its number."""
        number = position = 0
        with listing(self._name), self._place.open(self._name) as file:
            changed = self._place.stamp(self._name).changed
            while line := file.readline(_LONGEST_LINE + 1):
                if len(line) > _LONGEST_LINE:
                    raise DataSetUnreadable(
                        f"{self._name} has a line of more than {_LONGEST_LINE // MIB} MiB: write an object a line."
                    )
                if line.strip():
                    yield Row(str(number), len(line), changed, position)
                    number += 1
                position += len(line)

    def read(self, row: Row, most_bytes: int) -> TextSource:
        """One text.

        Raises:
            TextUnreadable: its line is no object with a text.
        """
        require_short(row, most_bytes)
        with reading(row):
            line = self._place.read(self._name, row.position or 0, row.nbytes)
        require_unchanged(self._place, self._name, row)
        if len(line) != row.nbytes:
            raise input_changed(row)
        return TextSource(self._text(line, row))

    def _text(self, line: bytes, row: Row) -> Text:
        try:
            # The reader of pydantic refuses half a surrogate pair, which no tokenizer could split.
            value = from_json(line)[self._key]
            return value if isinstance(value, str) else ids_of(value)
        except (InvalidRequest, KeyError, TypeError, ValueError) as error:
            raise TextUnreadable(
                f'Text {row.path} of {self._name} is none: its line must be {{"{self._key}": "…"}}, or have the ids of'
                " tokens there."
            ) from error
