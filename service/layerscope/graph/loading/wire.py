"""Messages between the loader process and the fork server that it starts."""

import struct

from pydantic import TypeAdapter

from layerscope.models.directory import ModelSource

REQUEST = TypeAdapter(ModelSource)
"""What is sent with the file: a model's source, as JSON."""


STATUS = struct.Struct("!i")
"""What comes back: the exit status of the child, or the number of the signal that ended it, negative."""
