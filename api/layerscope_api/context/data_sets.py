"""Where registered data sets are kept, as the settings say."""

from layerscope.extraction.catalog import DataSetCatalog
from layerscope_api.context.places import Places
from layerscope_api.context.settings import Settings


def catalog_of(settings: Settings) -> DataSetCatalog | None:
    """The registered data sets; None if the service keeps none."""
    if settings.datasets is None:
        return None
    places = Places(settings.places, settings.writable_places)
    return DataSetCatalog(settings.datasets, places, settings.limits)
