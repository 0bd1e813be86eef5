"""Where opened models are kept, as the settings say."""

from layerscope.graph.loading.prepared_files import PreparedFiles
from layerscope_api.context.settings import Settings


def prepared_files(settings: Settings) -> PreparedFiles | None:
    """The prepared files of this user; None if opened models are not kept."""
    limits = settings.limits
    if not settings.keep_prepared:
        return None
    return PreparedFiles(settings.cache / "prepared", limits.prepared_bytes, limits.model_load_seconds)
