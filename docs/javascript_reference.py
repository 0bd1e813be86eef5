"""The page `reference/javascript.md`: the public names of the JavaScript client, from its JSDoc comments."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tables import table

_CLIENT = Path(__file__).parents[1] / "clients" / "js"
_DOCUMENTED = re.compile(
    r"/\*\*(?P<comment>(?:(?!\*/).)*)\*/\s*\n(?P<line>(?:export (?:class|function) \w+|  (?:static |async |get )*(?!#)\w+\()[^\n]*)",
    re.DOTALL,
)
_CONSTRUCTED = {"Client", "Tensor"}
"""The classes that a caller makes objects of."""

_NAME = re.compile(r"(?:export (class|function) |  (?:static |async |get )*)(\w+)")


@dataclass
class Comment:
    """A JSDoc comment: its text, and the type, the name and the text of each tag."""

    text: str
    parameters: list[tuple[str, str, str]] = field(default_factory=list)
    returns: tuple[str, str] | None = None
    throws: list[tuple[str, str]] = field(default_factory=list)


def page() -> Iterator[str]:
    """Lines of the page."""
    yield "# JavaScript client\n"
    yield "`npm install ./clients/js`; [its README](../../clients/js/README.md) says how to begin. `Schemas` and `Options` are the types of"
    yield "the [OpenAPI contract](../../openapi/openapi.json).\n"
    (exported,) = re.findall(
        r"^export \{ (.*?) \};", (_CLIENT / "layerscope.js").read_text("utf-8"), re.MULTILINE
    )
    public = {"Client", *exported.split(", ")}
    for module in ("layerscope", "model", "jobs", "tensors", "transport"):
        owner = ""
        for found in _DOCUMENTED.finditer((_CLIENT / f"{module}.js").read_text("utf-8")):
            kind, name = _name(found["line"])
            owner = (name if name in public else "") if kind else owner
            if owner and "@module" not in found["comment"]:
                title = f"{owner}.{name}" if not kind else name
                yield from _entry(title, kind, _read(found["comment"]))


def _name(line: str) -> tuple[str | None, str]:
    found = _NAME.match(line)
    assert found is not None, line  # noqa: S101 - what `_DOCUMENTED` matches
    return found[1], found[2]


def _entry(title: str, kind: str | None, comment: Comment) -> Iterator[str]:
    owner, _, member = title.partition(".")
    if member == "constructor" and owner not in _CONSTRUCTED:
        return
    yield f"{'##' if kind else '###'} `{f'new {owner}' if member == 'constructor' else title}`\n"
    if comment.text:
        yield f"{comment.text}\n"
    if comment.parameters:
        rows = ((f"`{name}`", f"`{kind}`", text) for kind, name, text in comment.parameters)
        yield from table(("argument", "type", "meaning"), rows)
        yield ""
    if comment.returns:
        yield f"Returns: `{comment.returns[0]}` {comment.returns[1]}".strip() + "\n"
    for kind_of_error, text in comment.throws:
        yield f"Throws: `{kind_of_error}` {text}\n"


def _read(comment: str) -> Comment:
    """Read a comment; a tag begins with `@` at the beginning of a line or behind a sentence."""
    text = " ".join(line.strip().removeprefix("*").strip() for line in comment.splitlines()).strip()
    first, *tags = re.split(r"(?:^|(?<=\s))@(?=(?:param|returns|throws|extends|type|template)\b)", text)
    found = Comment(first.strip())
    for tag in tags:
        word, _, rest = tag.partition(" ")
        kind, rest = _braced(rest)
        if word == "param":
            name, _, meaning = rest.partition(" ")
            found.parameters.append((kind, name, meaning.strip().removeprefix("-").strip()))
        elif word == "returns":
            found.returns = kind, rest
        elif word == "throws":
            found.throws.append((kind, rest))
    return found


def _braced(text: str) -> tuple[str, str]:
    """The type in braces at the beginning, which may have braces inside, and what follows."""
    depth = 0
    for place, letter in enumerate(text):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth == 0:
            return text[1:place], text[place + 1 :].strip()
    return "", text
