"""Errors of time, memory and storage: the same request may succeed later."""

from layerscope.errors.base import LayerscopeError


class Overloaded(LayerscopeError):
    """Too much at once. Trying again later helps."""


class QueueFull(Overloaded):
    """As many requests are waiting as the service lets wait."""

    code = "queue_full"


class QuotaExceeded(Overloaded):
    """Requests of the same API key are as many, or take as much memory, as one may have."""

    code = "quota_exceeded"


class Unavailable(LayerscopeError):
    """Not now. Trying again later helps."""


class ModelLoading(Unavailable):
    """The model is still being loaded."""

    code = "model_loading"


class MemoryBusy(Unavailable):
    """Other requests work in the memory that this one needs, and did not finish in its time."""

    code = "memory_busy"


class SourceUnreachable(Unavailable):
    """Where models are fetched from, or models or images are kept, cannot be used; models in memory are served."""

    code = "source_unreachable"


class LoaderFailed(Unavailable):
    """The process that opens models ended, or was stopped, before the model was open."""

    code = "loader_failed"


class RunFailed(Unavailable):
    """The process that ran the model did not survive the run: it crashed, or was killed for its memory."""

    code = "run_failed"


class RunStuck(Unavailable):
    """A run of a model goes on in the process that serves, and only the end of the process would end it."""

    code = "run_stuck"


class Draining(Unavailable):
    """The service is ending, and the request did not finish in the time that was left."""

    code = "draining"


class SlowSender(LayerscopeError):
    """The request did not arrive in its time."""

    code = "slow_sender"


class DeadlineExceeded(LayerscopeError):
    """The request could not be answered in its time."""

    code = "deadline_exceeded"


class RunCutOff(DeadlineExceeded):
    """The run of the model took far longer than was estimated, and was ended."""

    code = "run_cut_off"


class StorageFull(LayerscopeError):
    """There is no room to store what was sent."""

    code = "storage_full"
