"""Wire protocol between a service and its fork server.

    service                                     fork server
      REQUEST, with a file descriptor  ──▶       forks a child, which fills the file and exits
      STATUS                           ◀──       the exit status of the child

The two share a stream socket pair. There is one request at a time, so a message needs no number. The result is not sent:
it is in the file, see `layerscope.graph.prepared.prepared_model`. The end of the stream, from either side, ends the fork
server and its child.
"""

import struct
from dataclasses import dataclass

from pydantic import TypeAdapter

from layerscope.models.directory import ModelSource


@dataclass(frozen=True, slots=True)
class Request:
    """A request for the preparation of a model.

    Attributes:
        source: the model.
        seconds: how long opening it may take; an untrusted model has bounds of its own.
    """

    source: ModelSource
    seconds: int


REQUEST = TypeAdapter(Request)
"""A request as JSON. The descriptor of the file travels with it (SCM_RIGHTS)."""


STATUS = struct.Struct("!i")
"""An answer: the exit status of the child, or minus the number of the signal that ended it, in network byte order."""
