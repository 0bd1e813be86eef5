"""Models that are the texts of their files, for libraries that need no others."""

from dataclasses import dataclass

from layerscope.models.control import Control

EXPLICIT = Control(mode="explicit")
POLL = Control(mode="poll", seconds=3600)


@dataclass
class Text:
    """A model that is the text of its file."""

    text: str
    labels: tuple[str, ...] = ()
    memory_bytes: int = 1

    def close(self):
        pass


def states(library):
    return {f"{each.source.name}@{each.source.version}": each.state for each in library.registry.entries()}


def text_of(library, reference):
    with library.registry.lease(reference) as model:
        return model.text
