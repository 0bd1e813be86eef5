"""Draw the rooms and floors of both packages as one SVG, from the import contracts in `pyproject.toml`.

A floor is one layer of a `layers` contract of import-linter, and a room is one folder or module of that layer. The text of
a room is the first sentence of its docstring. The picture follows the colour scheme of the reader, light or dark.
"""

import ast
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

ROOT = Path(__file__).parents[1]
SOURCES = {"layerscope": ROOT / "service", "layerscope_api": ROOT / "api"}

WIDTH = 800
MARGIN = 12
GAP = 8
PADDING = 12
GUTTER = 38
"""Room for the arrow at the left of a house, in pixels."""
ARROW = 40
"""Height of the arrow between two houses."""
TITLE = 40
NAMES = 142
"""Width of the column of names on floors with one room."""
TEXT_SIZE, LINE = 12, 16

_NARROW, _WIDE = frozenset("fijlrtI.,:;'|()[]/ -`"), frozenset("mwMW@%")

STYLE = """
  svg { color-scheme: light dark }
  text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #4b5560 }
  .name { font: 600 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; fill: #1f2328 }
  .title { font: 600 15px ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace }
  .ground { fill: #ffffff } .room { fill: #ffffff; stroke: #d0d7de } .inner { fill: #f6f8fa; stroke: #d8dee4 }
  .arrow { fill: none; stroke: #6e7781; stroke-width: 1.5 } .head { fill: #6e7781 }
  .clients { fill: #f5f0ff; stroke: #d8c8f5 } .clients-title { fill: #5a32a3 }
  .api { fill: #eaf3ff; stroke: #b6d3f8 } .api-title { fill: #0a4fae }
  .engine { fill: #e8f6ee; stroke: #b2dcc4 } .engine-title { fill: #0f6138 }
  @media (prefers-color-scheme: dark) {
    text { fill: #b1bac4 } .name { fill: #f0f6fc }
    .ground { fill: #0d1117 } .room { fill: #161b22; stroke: #3d444d } .inner { fill: #1f262e; stroke: #3d444d }
    .arrow { stroke: #9198a1 } .head { fill: #9198a1 }
    .clients { fill: #1d1730; stroke: #4a3c78 } .clients-title { fill: #c9b1ff }
    .api { fill: #0e1f36; stroke: #2b4f82 } .api-title { fill: #8fc0ff }
    .engine { fill: #0d261b; stroke: #2a5c43 } .engine-title { fill: #7ddba6 }
  }
"""


@dataclass(frozen=True)
class Room:
    """Folder or module: its dotted name, one sentence, and its own floors, from the top, if it has a contract of its own."""

    name: str
    text: str
    floors: tuple[tuple["Room", ...], ...] = ()

    @property
    def label(self) -> str:
        """Name without the packages that the room is in."""
        return self.name.rpartition(".")[2]


class Box(NamedTuple):
    """Drawn rectangle: its SVG lines and its height in pixels."""

    lines: list[str]
    height: int


def draw() -> str:
    """SVG of the clients, the service and the engine, one below the other, 800 pixels wide."""
    contracts = _contracts()
    clients = Room("clients", "", (_clients(),))
    houses = (
        ("clients", clients, "programs that call the service and import none of it"),
        ("api", _room("layerscope_api", contracts), "the HTTP service, its command line and its explorer"),
        ("engine", _room("layerscope", contracts), "the engine, which knows nothing of HTTP"),
    )
    inner = WIDTH - 2 * MARGIN
    lines, y = [], MARGIN
    for number, (kind, room, text) in enumerate(houses):
        if number:
            lines += _arrow_between(y, ("HTTP", "imports")[number - 1])
            y += ARROW
        box = _house(kind, room, text, inner)
        lines += _moved(box, MARGIN, y)
        y += box.height
    return _document(lines, y + MARGIN)


def _document(lines: Sequence[str], height: int) -> str:
    size = f'width="{WIDTH}" height="{height}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>Rooms and floors of Layerscope: a room imports only rooms on lower floors</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" {size} rx="10"/>',
    )
    return "\n".join((*head, *lines, "</svg>\n"))


def _contracts() -> dict[str, list[list[str]]]:
    """Floors of each package that has a `layers` contract, from the top; the names of rooms on each."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return {
        container: [
            [name.strip(" ()") for name in layer.replace(":", "|").split("|")] for layer in contract["layers"]
        ]
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
        for container in contract["containers"]
    }


def _room(name: str, contracts: Mapping[str, list[list[str]]]) -> Room:
    """Room of a dotted name, with its floors; `__main__` only starts the command line and is left out."""
    floors = (
        tuple(_room(f"{name}.{each}", contracts) for each in floor if each != "__main__")
        for floor in contracts.get(name, ())
    )
    return Room(name, _sentence(name), tuple(floor for floor in floors if floor))


def _sentence(name: str) -> str:
    """First sentence of a docstring, without the name of the room before a colon."""
    package, _, rest = name.partition(".")
    path = SOURCES[package].joinpath(package, *filter(None, rest.split(".")))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").partition("\n\n")[0].replace("`", "")
    sentence = " ".join(text.split()).partition(". ")[0].rstrip(".")
    head, colon, tail = sentence.partition(": ")
    last = name.rpartition(".")[2].replace("_", " ")
    if colon and head.lower().removeprefix("the ").rstrip("s") == last.rstrip("s"):
        sentence = tail
    return sentence[:1].upper() + sentence[1:]


def _clients() -> tuple[Room, Room]:
    package = json.loads((ROOT / "clients" / "js" / "package.json").read_text("utf-8"))
    project = tomllib.loads((ROOT / "clients" / "python" / "pyproject.toml").read_text("utf-8"))
    texts = {"clients/python": project["project"]["description"], "clients/js": package["description"]}
    python, javascript = (Room(name, text.rstrip(".")) for name, text in texts.items())
    return python, javascript


def _house(kind: str, room: Room, text: str, width: int) -> Box:
    """Panel of one package: title, floors, and the arrow that says which way imports go."""
    many = len(room.floors) > 1
    left = GUTTER if many else PADDING
    lines, y = [], TITLE
    for floor in room.floors:
        box = _floor(floor, width - left - PADDING)
        lines += _moved(box, left, y)
        y += box.height + GAP
    height = y - GAP + PADDING
    title = f'<tspan class="title {kind}-title">{room.label}</tspan><tspan dx="12">{escape(text)}</tspan>'
    head = [_rectangle(kind, width, height, 10), f'<text x="{left}" y="26">{title}</text>']
    return Box(head + (_arrow_down(25, TITLE, height - PADDING) if many else []) + lines, height)


def _floor(rooms: Sequence[Room], width: int) -> Box:
    """Rooms of one floor, side by side in equal widths and equal heights."""
    if len(rooms) == 1:
        return _wide(rooms[0], width)
    # Whole pixels keep the edges sharp, and the last room ends where all floors end.
    starts = [number * (width + GAP) // len(rooms) for number in range(len(rooms) + 1)]
    widths = [end - start - GAP for start, end in pairwise(starts)]
    wrapped = [_wrap(room.text, each - 2 * PADDING) for room, each in zip(rooms, widths, strict=True)]
    height = 32 + LINE * max(map(len, wrapped)) + 6
    lines: list[str] = []
    for room, texts, start, each in zip(rooms, wrapped, starts, widths, strict=False):
        box = [_rectangle("room", each, height), _name(room, 22), *_texts(texts, PADDING, 41)]
        lines += _moved(Box(box, height), start, 0)
    return Box(lines, height)


def _wide(room: Room, width: int, kind: str = "room") -> Box:
    """Room that has its floor for itself: the name at the left, the text at its right, its own floors below."""
    texts = _wrap(room.text, width - NAMES - 2 * PADDING)
    y = head = 16 + LINE * len(texts) + (0 if kind == "inner" else 2)
    inside: list[str] = []
    for floor in room.floors:
        for each in floor:
            box = _wide(each, width - 2 * PADDING, "inner")
            inside += _moved(box, PADDING, y)
            y += box.height + 4
    height = y - 4 + PADDING if room.floors else head
    base = 20 if kind == "inner" else 21
    return Box(
        [
            _rectangle(kind, width, height),
            _name(room, base),
            *_texts(texts, PADDING + NAMES, base),
            *inside,
        ],
        height,
    )


def _rectangle(kind: str, width: int, height: int, radius: int = 6) -> str:
    # Half a pixel inwards, so that a border of one pixel covers whole pixels.
    return f'<rect class="{kind}" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="{radius}"/>'


def _name(room: Room, y: int) -> str:
    return f'<text class="name" id="{room.name}" x="{PADDING}" y="{y}">{room.label}</text>'


def _texts(texts: Sequence[str], x: int, y: int) -> Iterator[str]:
    for number, text in enumerate(texts):
        yield f'<text x="{x}" y="{y + LINE * number}">{escape(text)}</text>'


def _moved(box: Box, x: int, y: int) -> list[str]:
    return [f'<g transform="translate({x} {y})">', *box.lines, "</g>"]


def _arrow_down(x: float, top: int, bottom: int) -> list[str]:
    """Arrow along all floors of a house, with its meaning beside it."""
    middle = (top + bottom) / 2
    return [
        f'<path class="arrow" d="M{x} {top}V{bottom - 6}"/>',
        f'<path class="head" d="M{x - 4.5} {bottom - 8}h9l-4.5 8z"/>',
        f'<text transform="translate({x - 7} {middle}) rotate(-90)" text-anchor="middle">imports</text>',
    ]


def _arrow_between(y: int, text: str) -> list[str]:
    middle = WIDTH // 2
    return [
        f'<path class="arrow" d="M{middle} {y + 5}V{y + ARROW - 11}"/>',
        f'<path class="head" d="M{middle - 5} {y + ARROW - 13}h10l-5 8z"/>',
        f'<text x="{middle + 12}" y="{y + ARROW // 2 + 4}">{text}</text>',
    ]


def _wrap(text: str, width: float) -> list[str]:
    """Lines of a text that fit into a width in pixels, in any usual sans-serif font, of about equal lengths."""
    lines = _filled(text, width)
    while len(narrower := _filled(text, width := width - 4)) == len(lines) > 1:
        lines = narrower
    return lines


def _filled(text: str, width: float) -> list[str]:
    """Lines of a text, each filled with as many words as fit."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _width(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _width(text: str) -> float:
    """Width of a text in pixels, at least that of a wide font such as DejaVu Sans."""
    ems = (
        0.38 if each in _NARROW else 0.92 if each in _WIDE else 0.72 if each.isupper() else 0.6
        for each in text
    )
    return TEXT_SIZE * sum(ems)
