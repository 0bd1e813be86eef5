"""Messages: what runners and workers say to each other, one JSON object each. Neither images nor values travel."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter
from pydantic_core import to_json

from layerscope.errors import LayerscopeError, error_with_code
from layerscope.extraction.job import Receipt

if TYPE_CHECKING:
    from layerscope.graph.loading.prepared_files import PreparedFiles

ErrorFields = tuple[str, str, dict[str, object]]
"""Code, sentence and details of an error."""


@dataclass(frozen=True)
class Order:
    """A shard for a worker to do; see `Extractor.do`."""

    shard: int
    skipped: tuple[int, ...] = ()
    one_by_one: bool = False


@dataclass(frozen=True)
class Message:
    """What a worker says.

    Attributes:
        receipt: of the shard that is done.
        began: the image that it begins with; None, if that is all, after the last one.
        error: why the job cannot go on.
    """

    receipt: Receipt | None = None
    began: int | None = None
    error: ErrorFields | None = None

    @classmethod
    def of(cls, error: LayerscopeError) -> "Message":
        """The message that the job cannot go on."""
        return cls(error=(error.code, error.message, error.details))

    def raise_error(self) -> None:
        """Raise the error, if it has one."""
        if self.error is not None:
            raise error_with_code(*self.error)


ORDER = TypeAdapter(Order)
MESSAGE = TypeAdapter(Message)


def setup(address: str, prepared: "PreparedFiles | None") -> bytes:
    """The first line for a worker: the address of the job's result, and where opened models are kept."""
    return to_json({"address": address, "prepared": prepared})
