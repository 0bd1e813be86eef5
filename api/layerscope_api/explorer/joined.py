"""The modules that the page needs first, joined into one file: a first visit then waits for one request instead of one for each.

Each module keeps a scope of its own, and its exports become names of the file. Modules that are loaded later find the joined ones
by the import map of the page, so that there is one instance of each.
"""

import re
from collections.abc import Iterator, Mapping
from posixpath import dirname, join, normpath

_IMPORT = re.compile(r'^import \{ [^}]+ \} from "(\./[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const|let) (\w+))", re.MULTILINE)
_EXPORTED_AGAIN = re.compile(r"^export \{ [^}]+ \};\n", re.MULTILINE)


def joined_modules(modules: Mapping[str, str], first: str) -> tuple[str, list[str]]:
    """Join a module with those that it imports.

    Args:
        modules: the text of each module, by its path. Imports name what they take, and exports stand at declarations.
        first: the path of the module that imports the others.

    Returns:
        The joined module, and the paths of those in it, each behind those that it imports.

    Raises:
        ValueError: two modules export one name, or a module has an import or export of another form.
    """
    order = list(dict.fromkeys(_needed(modules, first)))
    names = [_EXPORT.findall(modules[path]) for path in order]
    exported = [name for each in names for name in each]
    if len(set(exported)) < len(exported):
        raise ValueError("Two of the modules that are joined export the same name.")
    scopes = [_scope(modules[path], own) for path, own in zip(order, names, strict=True)]
    return "\n".join([*scopes, f"export {{ {', '.join(exported)} }};\n"]), order


def _needed(modules: Mapping[str, str], path: str) -> Iterator[str]:
    """The modules that a module imports, then itself."""
    for imported in _IMPORT.findall(modules[path]):
        yield from _needed(modules, normpath(join(dirname(path), imported)))
    yield path


def _scope(text: str, names: list[str]) -> str:
    """A module as a function that is called at once and returns what the module exports."""
    for form in (_IMPORT, _EXPORTED_AGAIN, _EXPORT):
        text = form.sub("", text)
    if re.search(r"^(import|export)\b", text, re.MULTILINE):
        raise ValueError("A module has an import or an export of another form.")
    return f"const {{ {', '.join(names)} }} = (() => {{\n{text}return {{ {', '.join(names)} }};\n}})();"
