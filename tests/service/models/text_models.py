"""Models that are the texts of their files, for libraries that need no others."""

import threading
from dataclasses import dataclass, field

from layerscope.errors import ModelRefused
from layerscope.models.control import Control
from layerscope.models.manifest import Manifest

EXPLICIT = Control(mode="explicit")
POLL = Control(mode="poll", seconds=3600)


@dataclass
class Text:
    """A model that is the text of its file."""

    text: str
    labels: tuple[str, ...] = ()
    memory_bytes: int = 1
    closed: threading.Event = field(default_factory=threading.Event)

    def close(self):
        self.closed.set()


def load(source):
    """The model of a file, unless that says that it is broken."""
    text = source.path.read_text("utf-8")
    if text == "broken":
        raise ModelRefused("It is broken.")
    return Text(text, Manifest.read(source.folder).labels)


def states(library):
    return {f"{each.source.name}@{each.source.version}": each.state for each in library.registry.entries()}


def text_of(library, reference):
    with library.registry.lease(reference) as model:
        return model.text
