"""Data sets in a Parquet file: a column of the bytes of images, or of the paths of their files."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from layerscope.errors import BodyTooLarge, DataSetUnreadable, InputChanged, OptionInvalid, TooMany
from layerscope.execution.inputs import ImageSource, Source
from layerscope.extraction.data_sets.archives import require_unchanged, unreadable
from layerscope.extraction.data_sets.blocks import BYTES, Blocks
from layerscope.extraction.data_sets.data_set import DataSet, Row, listing, reading, require_short
from layerscope.extraction.data_sets.files import Files
from layerscope.extraction.places import Place

if TYPE_CHECKING:
    from pyarrow.parquet import ColumnChunkMetaData, ParquetFile

_BOMB = 100
"""Images do not compress. A column that unpacks to so many times its length was made to fill the memory."""

_NAMES = frozenset({"path", "file", "file_name", "filename", "file_path", "filepath", "image"})
"""Of several columns of text, the one that has paths."""


class Table:
    """The images of a Parquet file, beside the other columns of their rows."""

    def __init__(self, file: "_Parquet", images: DataSet) -> None:
        self._file = file
        self._images = images

    def rows(self) -> Iterator[Row]:
        """One image for each row of the table."""
        return self._images.rows()

    def read(self, row: Row, most_bytes: int) -> Source:
        """One image."""
        return self._images.read(row, most_bytes)

    def labelled(self, column: str, most_bytes: int) -> Iterator[Row]:
        """All images, with what a column has in their rows as their labels.

        Args:
            column: of text, whole numbers or truth values; a null or an empty text is no label.
            most_bytes: of the whole column in memory.

        Raises:
            DataSetUnreadable: there is no such column, or the file changes meanwhile.
            TooMany: the column takes more than `most_bytes`.
        """
        labels = self._file.labels(column, most_bytes)
        try:
            for row, label in zip(self.rows(), labels, strict=True):
                yield replace(row, label=label)
        except (self._file.arrow.ArrowException, ValueError) as error:
            raise unreadable(self._file.name, error) from error
        self._file.require_unchanged()


def table(place: Place, name: str, column: str | None) -> Table:
    """The images of a Parquet file.

    Args:
        place: that has the file.
        name: of the file.
        column: that has them; None to find it.

    Raises:
        DataSetUnreadable: it is no Parquet file, or it is not clear which column is meant.
        OptionInvalid: pyarrow is not installed.
    """
    file = _Parquet(place, name)
    of_bytes, of_text = file.columns()
    if column is None:
        named = [each for each in of_text if each in _NAMES]
        found = list(of_bytes) or (of_text if len(of_text) == 1 else named)
        if len(found) != 1:
            raise DataSetUnreadable(
                f"{name} has {'several columns' if found else 'no column'} of images or paths: name one, as {name}:COLUMN.",
                columns=[*of_bytes, *of_text],
            )
        column = found[0]
    if column in of_bytes:
        return Table(file, _Bytes(file, of_bytes[column]))
    if column in of_text:
        return Table(file, Files(place, _Paths(file, column)))
    raise DataSetUnreadable(
        f"{name} has no column {column} of images or paths.", columns=[*of_bytes, *of_text]
    )


class _Parquet:
    """A Parquet file, of which a part is in memory at a time."""

    def __init__(self, place: Place, name: str) -> None:
        self.place = place
        self.name = name
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra
            from pyarrow import parquet  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise OptionInvalid(
                f"{name} needs the Python module {error.name}: install layerscope[extract].", option="data"
            ) from error
        self.arrow, self._parquet = pa, parquet
        try:
            with listing(name):
                self.changed = place.stamp(name).changed
                self.about = self._open().metadata
                self._schema = self.about.schema.to_arrow_schema()
        except (pa.ArrowException, ValueError) as error:
            raise unreadable(name, error) from error

    def columns(self) -> tuple[dict[str, str], list[str]]:
        """The columns of bytes, with the paths of their values in the schema, and those of text."""
        types = self.arrow.types
        of_bytes, of_text = {}, []
        for field in self._schema:
            if types.is_binary(field.type) or types.is_large_binary(field.type):
                of_bytes[field.name] = field.name
            # As Hugging Face writes images: their bytes beside the path that they had.
            elif types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
                of_bytes[field.name] = f"{field.name}.bytes"
            elif types.is_string(field.type) or types.is_large_string(field.type):
                of_text.append(field.name)
        return of_bytes, of_text

    def labels(self, column: str, most_bytes: int) -> Iterator[str | None]:
        """What a column has, as text; see `Table.labelled`."""
        types, fields = self.arrow.types, {field.name: field.type for field in self._schema}
        kind = fields.get(column)
        if kind is not None and types.is_dictionary(kind):
            kind = kind.value_type
        readable = (types.is_string, types.is_large_string, types.is_integer, types.is_boolean)
        if kind is None or not any(each(kind) for each in readable):
            raise DataSetUnreadable(
                f"{self.name} has no column {column[:80]!r} of text, whole numbers or truth values.",
                columns=list(fields),
            )
        groups = range(self.about.num_row_groups)
        length = sum(self.chunk(group, column).total_uncompressed_size for group in groups)
        if length > most_bytes:
            raise TooMany(
                f"The column {column} takes {length:,} bytes; at most {most_bytes:,} are read",
                ways=("choose a column of short labels", "give the labels as a .csv file"),
                limit=most_bytes,
            )
        for value in self.values(column, groups, 1024):
            label = value.as_py()
            yield None if label is None else str(label) or None

    def chunk(self, group: int, column: str) -> "ColumnChunkMetaData":
        """What is known of a column in a row group before it is read. The column is named by its path in the schema."""
        about = self.about.row_group(group)
        columns = map(about.column, range(about.num_columns))
        return next(each for each in columns if each.path_in_schema == column)

    def require_unchanged(self) -> None:
        """Check that the file is the one that was opened.

        Raises:
            DataSetUnreadable: it is not.
        """
        with listing(self.name):
            if self.place.stamp(self.name).changed != self.changed:
                raise DataSetUnreadable(f"{self.name} changed while it was read: try again.")

    def values(self, column: str, groups: Iterable[int], rows: int) -> Iterator[Any]:
        """The values of a column in row groups, as scalars of Arrow."""
        # A value that is there many times is in memory once.
        file = self._open(read_dictionary=[column], pre_buffer=False)
        for group in groups:
            for batch in file.iter_batches(rows, row_groups=[group], columns=[column], use_threads=False):
                values = batch.column(0)
                yield from values.field("bytes") if self.arrow.types.is_struct(values.type) else values

    def _open(self, **options: Any) -> "ParquetFile":
        return self._parquet.ParquetFile(self.place.open(self.name), **options)


class _Paths:
    """A column of paths."""

    def __init__(self, file: _Parquet, column: str) -> None:
        self._file = file
        self._column = column

    def __iter__(self) -> Iterator[str]:
        groups = range(self._file.about.num_row_groups)
        try:
            for value in self._file.values(self._column, groups, 1024):
                yield value.as_py() or ""
        except (self._file.arrow.ArrowException, ValueError) as error:
            raise unreadable(self._file.name, error) from error


class _Bytes:
    """A column of bytes. The row with index i has the path `i`."""

    def __init__(self, file: _Parquet, column: str) -> None:
        self._file = file
        self._column = column
        about = file.about
        self._ends = list(
            accumulate(about.row_group(group).num_rows for group in range(about.num_row_groups))
        )
        # Where one group ends and another begins, threads ask for rows of both.
        self._blocks = lru_cache(2)(self._of_group)

    def rows(self) -> Iterator[Row]:
        """One row for each of the table; how long it is, nobody knows before it is read."""
        for index in range(self._file.about.num_rows):
            yield Row(str(index), -1, self._file.changed, index)

    def read(self, row: Row, most_bytes: int) -> ImageSource:
        """One image."""
        arrow, index = self._file.arrow, row.position or 0
        group = bisect_right(self._ends, index)
        try:
            with reading(row):
                value = self._blocks(group, most_bytes).row(index - (self._ends[group - 1] if group else 0))
        except (arrow.ArrowException, IndexError) as error:
            raise InputChanged(f"{row.path} cannot be read: {error}.", path=row.path) from error
        require_unchanged(self._file.place, self._file.name, row)
        if arrow.types.is_dictionary(value.type):
            value = value.value
        data = value.as_buffer() if value.is_valid else b""
        require_short(replace(row, nbytes=len(data)), most_bytes)
        return ImageSource(bytes(data))

    def _of_group(self, group: int, most_bytes: int) -> Blocks[Any]:
        """The values of a row group, see `values`.

        Raises:
            BodyTooLarge: they are far longer than what is stored.
        """
        chunk = self._file.chunk(group, self._column)
        length = chunk.total_uncompressed_size
        if length > max(most_bytes, _BOMB * chunk.total_compressed_size):
            raise BodyTooLarge(
                f"A row group unpacks to {length:,} bytes, more than {_BOMB} times its length: it is not read",
                ways=("store images as they are",),
                bytes=length,
                limit=most_bytes,
            )
        rows = max(1, min(1024, BYTES * self._file.about.row_group(group).num_rows // max(1, length)))
        return Blocks(lambda: self._file.values(self._column, [group], rows), rows)
