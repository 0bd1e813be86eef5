"""The page `reference/http.md`: every operation of the OpenAPI contract, by its tag."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tables import table

_CONTRACT = Path(__file__).parents[1] / "openapi" / "openapi.json"
_MODEL = "/v1/models/{model}/"
_TAGS = (
    "activations",
    "predictions",
    "statistics",
    "pictures",
    "attributions",
    "interventions",
    "comparisons",
    "images",
    "models",
    "service",
    "health",
    "inference protocol",
)


def page() -> Iterator[str]:
    """Lines of the page."""
    operations = _operations()
    yield "# HTTP\n"
    yield "Every operation, from the [OpenAPI contract](../../openapi/openapi.json), which a running service has at `/openapi.json`, and"
    yield "with examples to try at `/docs`. `{model}` is `name`, `name@version` or `name@label`. Where there is a `GET` and a `POST`, both answer"
    yield "the same: `GET` about stored images (`image=sha256-…`), so that the answer can be cached and linked, and `POST` about the images in"
    yield "its body: the bytes of one file, a form, JSON, or a tensor as `.npy`.\n"
    yield "[Options](options.md) explains the options, [errors](errors.md) the error answers.\n"
    known = [*_TAGS, *sorted(set(operations) - set(_TAGS))]
    for tag in (tag for tag in known if tag in operations):
        yield f"## {tag[0].upper()}{tag[1:]}\n"
        for path, methods in operations[tag].items():
            yield from _resource(path, methods)


def _operations() -> dict[str, dict[str, dict[str, Any]]]:
    """The operations by tag, path and method, in the order of the contract."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for path, methods in json.loads(_CONTRACT.read_text("utf-8"))["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation["tags"][0], {}).setdefault(path, {})[method.upper()] = operation
    return found


def _resource(path: str, methods: dict[str, Any]) -> Iterator[str]:
    yield f"### `{', '.join(sorted(methods))} {path}`\n"
    for method, operation in sorted(methods.items()):
        words = f"**{method}**: " if len(methods) > 1 else ""
        yield f"{words}{_unwrapped(operation['description'])}\n"
    parameters = {
        each["name"]: each
        for operation in methods.values()
        for each in operation.get("parameters", ())
        if each["in"] == "query"
    }
    if parameters:
        options = ", ".join(
            f"`{name}`{' (required)' if each.get('required') else ''}" for name, each in parameters.items()
        )
        yield f"Options: {options}.\n"
    rows = [
        (method, f"`{status}`", ", ".join(f"`{kind}`" for kind in answer.get("content", {})) or "no body")
        for method, operation in sorted(methods.items())
        for status, answer in operation["responses"].items()
        if status < "300"
    ]
    yield from table(("method", "status", "answer"), rows)
    refusals = sorted(
        {status for operation in methods.values() for status in operation["responses"] if status >= "400"}
    )
    scopes = sorted(
        {
            scope
            for each in methods.values()
            for key in each.get("security", ())
            for scope in key.get("key", ())
        }
    )
    needed = (
        f" Where keys are in use, it needs the scope `{'`, `'.join(scopes)}`."
        if scopes
        else " It needs no key."
    )
    yield f"\nErrors: {', '.join(refusals)}.{needed}\n"


def _unwrapped(text: str) -> str:
    """The text with its paragraphs in one line each."""
    return "\n\n".join(" ".join(each.split()) for each in re.split(r"\n\s*\n", text.strip()))
