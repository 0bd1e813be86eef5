"""Every `layerscope …` and `make …` that a page writes down is there: its commands, its options and its targets."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from layerscope_api.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
)
PROGRAM = get_command(app)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def code(page: Path) -> Iterator[str]:
    """The code of a page: its blocks line by line, with continued lines in one, and what is written as code."""
    text = page.read_text("utf-8")
    for block in re.findall(r"^(?:```\w*\n(.*?)^```|((?:    .+\n)+))", text, re.DOTALL | re.MULTILINE):
        yield from "".join(block).replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def unknown(line: str) -> list[str]:
    """What a command line of the program names and does not exist."""
    words = shlex.split(line, comments=True)
    command = PROGRAM
    for word in words[1:]:
        nested = getattr(command, "commands", {}).get(word)
        if nested is None:
            break
        command = nested
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
    given = [word.partition("=")[0] for word in words if word.startswith("--")]
    missing = [option for option in given if option not in known]
    return missing if command is not PROGRAM or {"--version", "--help"} & set(given) else [words[1]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path) -> None:
    lines = [re.sub(r"^\$ ", "", line.strip()) for line in code(page)]
    lines = [re.sub(r"^(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?layerscope ", "layerscope ", line) for line in lines]
    commands = [line.split("|")[0] for line in lines if re.match(r"layerscope [a-z-]", line)]
    assert {line: unknown(line) for line in commands if unknown(line)} == {}
    targets = {name for line in lines for name in re.findall(r"^make ([a-z-]+)", line)}
    assert targets <= TARGETS


def test_what_does_not_exist_is_found() -> None:
    assert unknown("layerscope serve --models a --modles=b") == ["--modles"]
    assert unknown("layerscope keys create --api-keys keys.json") == []
    assert unknown("layerscope sevre") == ["sevre"]
