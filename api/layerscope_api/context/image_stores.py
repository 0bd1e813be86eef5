"""Where stored images are: in memory, in a directory that processes share, or in a bucket."""

from pathlib import Path

from layerscope.images import ImageStore
from layerscope.images.object_store import ObjectImageStore
from layerscope.images.shared_store import SharedImageStore
from layerscope.models.mirrors.objects import BucketObjects
from layerscope_api.context.settings import Settings
from layerscope_api.context.shared_state import SharedState


def image_store_of(settings: Settings, shared: SharedState | None) -> ImageStore:
    """The stored images of a process.

    Args:
        settings: `image_store` says where they are.
        shared: the state shared with other workers, whose images they are where the settings do not say it.
    """
    limits = settings.limits
    match settings.image_store:
        case None:
            return shared.images(limits) if shared else ImageStore(limits)
        case Path() as directory:
            return SharedImageStore(directory, limits)
        case url:
            return ObjectImageStore(BucketObjects(url, "image_store"), limits)
