"""The page `reference/python.md`: the public names of the Python client, from its signatures and docstrings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from tables import table

_SOURCE = Path(__file__).parents[1] / "clients" / "python" / "src"
_QUOTES = "\"'"
_AWAITED = {"AsyncClient": "Client", "AsyncDataSets": "DataSets", "AsyncModel": "Model", "AsyncJob": "Job"}
_FIRST = ("Client", "Model", "Job", *_AWAITED)
"""The classes at the top of the page; the others follow by name."""


def page() -> Iterator[str]:
    """Lines of the page."""
    package = griffe.load("layerscope_client", search_paths=[_SOURCE], docstring_parser="google")
    names = [str(name).strip(_QUOTES) for name in package.exports or ()]
    yield "# Python client\n"
    yield "`pip install ./clients/python` from a clone; [its README](../../clients/python/README.md) says how to begin.\n"
    yield f"{_text(package)}\n"
    for name in sorted(names, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)):
        yield from _entry(name, package[name], names)


def _entry(name: str, found: Any, names: list[str]) -> Iterator[str]:
    target = found.final_target if found.is_alias else found
    if target.is_module:
        yield f"## `{name}`\n\n{_text(target)}\n"
        members = [target[exported].final_target for exported in sorted(target.exports)]
        rows = ((f"`{each.name}`", _text(each)) for each in members)
        yield from table(("exception", "meaning"), rows)
        yield ""
        return
    yield f"## `{name}`\n"
    if target.is_attribute:
        yield f"{_text(target)}\n\n```python\n{name} = {str(target.value).strip(_QUOTES)}\n```\n"
        return
    if name in _AWAITED:
        yield from _documented(target)
        yield f"Its calls are those of [`{_AWAITED[name]}`](#{_AWAITED[name].lower()}), awaited.\n"
        return
    initialiser = target.all_members.get("__init__")
    yield from _documented(target)
    yield from _inherited(target, names)
    if initialiser is not None and initialiser.docstring is not None:
        yield from _documented(initialiser)
    members = [each for each in _public(target) if each.docstring is not None]
    attributes = [each for each in members if each.is_attribute or "property" in each.labels]
    if attributes:
        yield from table(
            ("attribute", "meaning"), ((f"`{each.name}`", _line(_text(each))) for each in attributes)
        )
        yield ""
    for each in members:
        if each.is_function and "property" not in each.labels:
            yield f"### `{name}.{each.name}`\n\n```python\n{_signature(each)}\n```\n"
            yield from _documented(each)


def _inherited(target: Any, names: list[str]) -> Iterator[str]:
    """The options that a class of options takes over: a link if the class is on the page, else the options."""
    for base in (each.final_target if each.is_alias else each for each in target.resolved_bases):
        if base.name in names:
            yield f"It has those of [`{base.name}`](#{base.name.lower()}), too.\n"
        elif target.name.endswith("Options") and base.docstring:
            yield from _documented(base)


def _public(target: Any) -> list[Any]:
    """Its members that are not private, in the order of the source, behind those it inherits."""
    members = [
        each
        for each in target.all_members.values()
        if not each.name.startswith("_") and (each.inherited or not each.is_alias)
    ]
    return [each.final_target if each.is_alias else each for each in members]


def _signature(function: Any) -> str:
    """The call, with the names and defaults of what it takes; types are in the text."""
    parts = []
    for each in function.parameters:
        if each.name in {"self", "cls"}:
            continue
        stars = {"variadic positional": "*", "variadic keyword": "**"}.get(each.kind.value, "")
        is_given = each.default is not None and not stars
        parts.append(f"{stars}{each.name}{f'={each.default}' if is_given else ''}")
    word = "await " if "async" in function.labels else ""
    returned = f" -> {function.returns}" if function.returns is not None else ""
    return f"{word}{function.name}({', '.join(parts)}){returned}"


def _documented(target: Any) -> Iterator[str]:
    """The sections of a docstring."""
    for section in target.docstring.parsed if target.docstring else ():
        match section.kind.value:
            case "text":
                yield f"{section.value}\n"
            case "parameters" | "attributes":
                columns = ("argument" if section.kind.value == "parameters" else "attribute", "meaning")
                yield from table(
                    columns, ((f"`{each.name}`", _line(each.description)) for each in section.value)
                )
                yield ""
            case "returns" | "yields":
                yield f"Returns: {' '.join(_line(each.description) for each in section.value)}\n"
            case "raises":
                yield from table(
                    ("raises", "when"),
                    ((f"`{each.annotation}`", _line(each.description)) for each in section.value),
                )
                yield ""


def _text(target: Any) -> str:
    """The text of a docstring, without its sections."""
    sections = target.docstring.parsed if target.docstring else ()
    return "\n\n".join(section.value for section in sections if section.kind.value == "text")


def _line(text: str) -> str:
    return " ".join(text.split())
