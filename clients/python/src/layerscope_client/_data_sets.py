"""Data sets: lists of images that the service has frozen under a name."""

import json
from typing import Any, TypedDict, cast

from layerscope_client._flows import Flow, Request, fetch, fetch_json, part_of
from layerscope_client._options import query
from layerscope_client._transport import Transport

_PATH = "/v1/datasets"
_JSON = {"Content-Type": "application/json"}


class DataSetSummary(TypedDict):
    """A data set: where its images and labels are from, the digest of their list, how many they are, and their bytes."""

    name: str
    data: str
    labels: str
    digest: str
    images: int
    bytes: int
    created: str


class LabelCount(TypedDict):
    """How many images have a label."""

    label: str
    images: int


class DataSet(DataSetSummary):
    """A data set with its labels, and how many of its images have none."""

    label_counts: list[LabelCount]
    unlabelled: int


class DataSetImage(TypedDict):
    """One image of a data set. `image` stands for it in all calls; `bytes` is None if it could not be found."""

    number: int
    image: str
    path: str
    label: str | None
    bytes: int | None


class DescribedDataSetImage(DataSetImage):
    """One image of a data set as it is. Tensors and texts have no width, height or mode; a tensor has a shape.

    `format` is that of the image file, or "tensor" or "text".
    """

    width: int | None
    height: int | None
    mode: str | None
    format: str
    orientation_applied: int
    notes: list[str]
    shape: list[int] | None


class DataSetPage(TypedDict):
    """Some images of a data set, and the number of the first one behind them; None behind the last."""

    digest: str
    rows: list[DataSetImage]
    total: int
    next: int | None


class DataSetCalls:
    """Flows of the calls about data sets."""

    def create(self, name: str, data: str, labels: str) -> Flow[DataSet]:
        """Register a data set."""
        body = json.dumps({"name": name, "data": data, "labels": labels}).encode()
        return cast("DataSet", (yield from fetch_json(Request("POST", _PATH, (), _JSON, body))))

    def list(self) -> Flow[list[DataSetSummary]]:
        """Every data set."""
        found: list[DataSetSummary] = []
        start: int | None = 0
        while start is not None:
            body = yield from fetch_json(Request("GET", _PATH, query({"start": start})))
            found += part_of(body, "datasets")
            start = part_of(body, "next")
        return found

    def get(self, name: str) -> Flow[DataSet]:
        """One data set."""
        return cast("DataSet", (yield from fetch_json(Request("GET", _path(name)))))

    def rows(self, name: str, start: int, limit: int | None) -> Flow[DataSetPage]:
        """A page of its images."""
        options: dict[str, Any] = {"start": start} if limit is None else {"start": start, "limit": limit}
        request = Request("GET", f"{_path(name)}/rows", query(options))
        return cast("DataSetPage", (yield from fetch_json(request)))

    def row(self, name: str, number: int) -> Flow[DescribedDataSetImage]:
        """One of its images."""
        request = Request("GET", f"{_path(name)}/rows/{number}")
        return cast("DescribedDataSetImage", (yield from fetch_json(request)))

    def thumbnail(self, name: str, number: int, side: int) -> Flow[bytes]:
        """A small picture of one of its images."""
        request = Request("GET", f"{_path(name)}/rows/{number}/thumbnail.png", query({"side": side}))
        return (yield from fetch(request)).content

    def delete(self, name: str) -> Flow[None]:
        """Forget a data set."""
        yield from fetch(Request("DELETE", _path(name)))


class DataSets:
    """The data sets of a service: `Client.datasets`. The operator must have named a folder for them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._calls = DataSetCalls()

    def create(self, name: str, data: str, labels: str = "none") -> DataSet:
        """Freeze the list of images of a data set under a name. The same list under the same name again changes nothing.

        Args:
            name: Lower case letters, digits, dots, dashes and underscores.
            data: Where its images are, such as "photos:2026/": a place that the operator has named, and what is below it.
            labels: "folders" for the folder that each image is in, "column:NAME" for a column of the .parquet table that has
                the images, "csv:photos:labels.csv" for a table with the columns path and label, or "none".

        Raises:
            DataSetExists: The name has other images or labels.
            DataSetUnreadable: There are no images, or the labels cannot be read.
            ControlRefused: The service keeps no data sets.
        """
        return self._transport.run(self._calls.create(name, data, labels))

    def list(self) -> "list[DataSetSummary]":
        """List every data set, by name."""
        return self._transport.run(self._calls.list())

    def get(self, name: str) -> DataSet:
        """Return what is known of a data set, with its labels.

        Raises:
            DataSetNotFound: There is none of that name.
        """
        return self._transport.run(self._calls.get(name))

    def rows(self, name: str, start: int = 0, limit: int | None = None) -> DataSetPage:
        """Return some of the images of a data set, in their order.

        Args:
            name: The data set.
            start: The number of the first one, from 0 on.
            limit: Most of them; None for what the service gives at once.
        """
        return self._transport.run(self._calls.rows(name, start, limit))

    def row(self, name: str, number: int) -> DescribedDataSetImage:
        """Return what is known of an image of a data set: path, label, size and type.

        Raises:
            DataSetNotFound: There is no such image.
            InputChanged: It is not there any more, or is another than when the data set was registered.
        """
        return self._transport.run(self._calls.row(name, number))

    def thumbnail(self, name: str, number: int, side: int = 128) -> bytes:
        """Return a small picture of an image of a data set, a PNG file.

        Raises:
            DataSetNotFound: There is no such image.
            InputChanged: It is not there any more, or is another than when the data set was registered.
        """
        return self._transport.run(self._calls.thumbnail(name, number, side))

    def delete(self, name: str) -> None:
        """Forget a data set. Its images stay where they are."""
        self._transport.run(self._calls.delete(name))


def _path(name: str) -> str:
    if not name or "/" in name or name.startswith("."):
        raise ValueError(f"A data set cannot be named {name[:80]!r}.")
    return f"{_PATH}/{name}"
