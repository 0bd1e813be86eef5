"""The JSON about data sets."""

from layerscope.execution.inputs import TensorSource, TextSource
from layerscope.extraction.catalog import DataSetRecord, RegisteredDataSet, name_of
from layerscope.extraction.data_sets import Row
from layerscope.images import DecodedImage
from layerscope_api.schemas.data_sets import (
    DataSetBody,
    DataSetImage,
    DataSetImageBody,
    DataSetImages,
    DataSetList,
    DataSetRow,
    LabelCount,
)


def data_set_list(records: list[DataSetRecord], end: int, total: int) -> DataSetList:
    """A page of data sets, which ends with number `end` of `total`."""
    rows = [
        DataSetRow(
            name=each.name,
            data=each.data,
            labels=each.labels,
            digest=each.digest,
            images=each.images,
            bytes=each.nbytes,
            created=each.created,
        )
        for each in records
    ]
    return DataSetList(datasets=rows, total=total, next=_next(end, total))


def data_set_body(record: DataSetRecord) -> DataSetBody:
    """A data set with its labels."""
    (row,) = data_set_list([record], 1, 1).datasets
    counts = [LabelCount(label=label, images=images) for label, images in record.counts.items()]
    return DataSetBody(**row.model_dump(), label_counts=counts, unlabelled=record.unlabelled)


def data_set_images(data_set: RegisteredDataSet, start: int, count: int) -> DataSetImages:
    """A page of the images of a data set."""
    record = data_set.record
    rows = [_image(record.name, number, row) for number, row in enumerate(data_set.rows(start, count), start)]
    return DataSetImages(
        digest=record.digest, rows=rows, total=record.images, next=_next(start + len(rows), record.images)
    )


def data_set_image_body(data_set: RegisteredDataSet, number: int, image: DecodedImage) -> DataSetImageBody:
    """An image of a data set, and what decoding tells of it."""
    listed = _image(data_set.record.name, number, data_set.row(number))
    return DataSetImageBody(
        **listed.model_dump(),
        width=image.width,
        height=image.height,
        mode=image.mode,
        format=image.format,
        orientation_applied=image.orientation_applied,
        notes=list(image.notes),
        shape=None,
    )


def undecoded_body(
    data_set: RegisteredDataSet, number: int, source: TensorSource | TextSource
) -> DataSetImageBody:
    """A tensor or a text of a data set."""
    listed = _image(data_set.record.name, number, data_set.row(number))
    shape = list(source.values.shape) if isinstance(source, TensorSource) else None
    return DataSetImageBody(
        **listed.model_dump(),
        width=None,
        height=None,
        mode=None,
        format="text" if shape is None else "tensor",
        orientation_applied=1,
        notes=[],
        shape=shape,
    )


def _image(data_set: str, number: int, row: Row) -> DataSetImage:
    return DataSetImage(
        number=number,
        image=name_of(data_set, number),
        path=row.path,
        label=row.label,
        bytes=row.nbytes if row.nbytes >= 0 else None,
    )


def _next(end: int, total: int) -> int | None:
    return end if end < total else None
