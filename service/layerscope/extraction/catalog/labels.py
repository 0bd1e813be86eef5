"""Labels of a data set: from the folders that its images are in, from a column beside them, or from a table."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from layerscope.errors import DataSetUnreadable, OptionInvalid, TooMany
from layerscope.extraction.data_sets import DataSet, Row, Table
from layerscope.limits import Limits
from layerscope.models.regular_files import open_regular

LabelOf = Callable[[Row], str | None]
"""The label of an image; None if it has none."""

LONGEST_LABEL = 200
"""Characters; what is longer is no label but a text."""

_NAMES = ("path", "label")


def labelled(rows: Iterator[Row], label_of: LabelOf) -> Iterator[Row]:
    """Images with their labels."""
    return (replace(row, label=label_of(row)) for row in rows)


def with_column(data_set: DataSet, column: str, limits: Limits) -> Iterator[Row]:
    """Images of a table, with what a column of it has as their labels.

    Raises:
        OptionInvalid: the data set is no table.
        DataSetUnreadable: there is no such column, or it cannot be read.
        TooMany: it is longer than `limits` allow.
    """
    if not isinstance(data_set, Table):
        raise OptionInvalid(
            "labels=column:NAME is for images of a .parquet file: name folders or a .csv file.",
            option="labels",
        )
    return data_set.labelled(column, limits.label_table_bytes)


def bounded(rows: Iterator[Row], limits: Limits) -> Iterator[Row]:
    """Images whose labels are checked.

    Raises:
        TooMany: there are more labels than `limits` allow.
        DataSetUnreadable: a label is too long.
    """
    seen: set[str] = set()
    for row in rows:
        if row.label is not None and row.label not in seen:
            _require_label(row.label, seen, limits)
            seen.add(row.label)
        yield row


def folder_of(row: Row) -> str | None:
    """The folder that an image is in; None for one that is in none."""
    return PurePosixPath(row.path).parent.name or None


def read_table(path: Path, limits: Limits) -> LabelOf:
    """The labels in a .csv file with the columns `path` and `label`. Paths are those of the list of images.

    Raises:
        DataSetUnreadable: it is no such file, or names an image twice.
        TooMany: it is longer, or has more lines, than `limits` allow.
    """
    try:
        with open_regular(path, follow=True) as file:
            data = file.read(limits.label_table_bytes + 1)
    except OSError as error:
        raise DataSetUnreadable(f"The table {path.name} cannot be read.") from error
    if len(data) > limits.label_table_bytes:
        raise TooMany(
            f"The table {path.name} is longer than {limits.label_table_bytes:,} bytes",
            ways=("leave out other columns", "name the folders after the labels (labels=folders)"),
            limit=limits.label_table_bytes,
        )
    try:
        labels = _labels(
            path.name, csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        )
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataSetUnreadable(f"The table {path.name} cannot be read as CSV in UTF-8.") from error
    return lambda row: labels.get(row.path)


def _labels(name: str, lines: Iterator[list[str]]) -> dict[str, str]:
    header = [each.strip().lower() for each in next(lines, [])]
    if not set(_NAMES) <= set(header):
        raise DataSetUnreadable(f"The first line of {name} must name the columns path and label.")
    places = [header.index(each) for each in _NAMES]
    labels: dict[str, str] = {}
    for number, line in enumerate(lines, 2):
        if not line:
            continue
        if len(line) != len(header):
            raise DataSetUnreadable(
                f"Line {number} of {name} has {len(line)} fields, and the first {len(header)}."
            )
        path, label = (line[place] for place in places)
        if path in labels:
            raise DataSetUnreadable(f"{name} has {path[:80]!r} twice.")
        if label:
            labels[path] = label
    return labels


def _require_label(label: str, seen: set[str], limits: Limits) -> None:
    if len(label) > LONGEST_LABEL:
        raise DataSetUnreadable(f"A label has {len(label):,} characters; at most {LONGEST_LABEL} are kept.")
    if len(seen) >= limits.data_set_labels:
        raise TooMany(
            f"There are more than {limits.data_set_labels:,} labels",
            ways=("choose coarser labels", "register it without labels"),
            limit=limits.data_set_labels,
        )
