"""Where registered data sets are kept, as the settings say."""

from pathlib import Path

from layerscope.extraction.catalog import DataSetCatalog
from layerscope_api.context.places import Places
from layerscope_api.context.settings import Settings


def catalog_of(settings: Settings) -> DataSetCatalog | None:
    """The registered data sets; None if the service keeps none."""
    return None if settings.datasets is None else catalog_in(settings.datasets, settings)


def catalog_in(directory: Path, settings: Settings) -> DataSetCatalog:
    """The data sets that are kept in a directory, whose images are in the places of the settings."""
    return DataSetCatalog(directory, Places(settings.places, settings.writable_places), settings.limits)
