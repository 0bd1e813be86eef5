"""The JSON about data sets."""

from layerscope.extraction.catalog import DataSetRecord, RegisteredDataSet, name_of
from layerscope_api.schemas.data_sets import (
    DataSetBody,
    DataSetImage,
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
    unlabelled = record.images - sum(record.counts.values())
    return DataSetBody(**row.model_dump(), label_counts=counts, unlabelled=unlabelled)


def data_set_images(data_set: RegisteredDataSet, start: int, count: int) -> DataSetImages:
    """A page of the images of a data set."""
    record = data_set.record
    rows = [
        DataSetImage(
            number=number,
            image=name_of(record.name, number),
            path=row.path,
            label=row.label,
            bytes=row.nbytes if row.nbytes >= 0 else None,
        )
        for number, row in enumerate(data_set.rows(start, count), start)
    ]
    return DataSetImages(
        digest=record.digest, rows=rows, total=record.images, next=_next(start + len(rows), record.images)
    )


def _next(end: int, total: int) -> int | None:
    return end if end < total else None
