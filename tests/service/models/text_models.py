"""Models that are the texts of their files, for libraries that need no others."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from layerscope.errors import ModelRefused
from layerscope.limits import Limits
from layerscope.models.control import Control
from layerscope.models.library import Library
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


@contextmanager
def libraries():
    """What opens libraries, which are closed when the block ends."""
    opened = []

    def start(directory, control, limits=None, **options):
        library = Library(directory, load, limits or Limits(), control, trusted=False, **options)
        opened.append(library)
        assert library.open(lambda _: None)
        return library

    yield start
    for each in opened:
        each.close()


def states(library):
    return {f"{each.source.name}@{each.source.version}": each.state for each in library.registry.entries()}


def text_of(library, reference):
    with library.registry.lease(reference) as model:
        return model.text
