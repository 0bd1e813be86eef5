"""Errors of time, memory and storage: the same request may succeed later."""

from layerscope_client.errors.base import LayerscopeError


class Overloaded(LayerscopeError):
    """There are too many requests at the moment. A later retry can succeed."""


class QueueFull(Overloaded):
    """The queue of the service is full."""


class QuotaExceeded(Overloaded):
    """The API key has as many requests in progress as it may have."""


class Unavailable(LayerscopeError):
    """Not possible at the moment. A later retry can succeed."""


class ModelLoading(Unavailable):
    """The model is still being loaded."""


class MemoryBusy(Unavailable):
    """Other requests used the memory that this one needs, until its deadline."""


class SourceUnreachable(Unavailable):
    """The source of the models cannot be read; models that were fetched before are kept."""


class SlowSender(LayerscopeError):
    """The request was sent too slowly."""


class LoaderFailed(Unavailable):
    """The process that opens models ended, or was stopped, before the model was open."""


class RunFailed(Unavailable):
    """The process that ran the model did not survive the run: it crashed, or was killed for its memory."""


class RunStuck(Unavailable):
    """A run of a model goes on in the process that serves, and only the end of the process would end it."""


class Draining(Unavailable):
    """The service was shut down before the request was finished."""


class DeadlineExceeded(LayerscopeError):
    """The request was not answered before its deadline."""


class RunCutOff(DeadlineExceeded):
    """The run of the model took far longer than was estimated, and was ended."""


class StorageFull(LayerscopeError):
    """The service has no room to store what was sent."""
