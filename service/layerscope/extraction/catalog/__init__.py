"""Catalog: data sets that were frozen under a name, for requests, jobs and all that is computed over many images."""

from layerscope.extraction.catalog.catalog import DATA_SET_NAME, DataSetCatalog
from layerscope.extraction.catalog.named_images import (
    NamedImages,
    data_set_named,
    data_sets_in,
    name_of,
    required,
)
from layerscope.extraction.catalog.registered import DataSetRecord, RegisteredDataSet

__all__ = [
    "DATA_SET_NAME",
    "DataSetCatalog",
    "DataSetRecord",
    "NamedImages",
    "RegisteredDataSet",
    "data_set_named",
    "data_sets_in",
    "name_of",
    "required",
]
