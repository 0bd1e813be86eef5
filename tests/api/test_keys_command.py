"""The commands that make, list and revoke keys, and when the service refuses to start without any."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from layerscope_api.cli.app import app
from layerscope_api.context.api_keys import KeyFile, Keyring, KeyScope


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def keys(path: Path, command: str, *arguments: str) -> tuple[int, str, str]:
    run = ["keys", command, "--api-keys", str(path), *arguments]
    result = CliRunner().invoke(app, run, env={"COLUMNS": "160"})
    return result.exit_code, result.stdout, result.stderr


def test_a_key_is_printed_once_and_kept_as_a_hash(path: Path) -> None:
    code, out, said = keys(path, "create", "--label", "notebook", "--scope", "infer", "--scope", "metrics")
    token = out.strip()

    assert code == 0
    assert re.fullmatch(r"ls_[0-9a-f]{8}_[\w-]{43}", token)
    assert token not in said
    assert token[12:] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    key = Keyring(path).find(token)
    assert key is not None
    assert key.scopes == {KeyScope.INFER, KeyScope.METRICS}
    assert Keyring(path).find(token[:-1] + ("a" if token[-1] != "a" else "b")) is None


def test_keys_are_listed_without_the_keys(path: Path) -> None:
    token = keys(path, "create", "--label", "[red]mine[/red]", "--days", "3")[1].strip()
    code, out, _ = keys(path, "list")

    assert code == 0
    assert "[red]mine[/red]" in out
    assert token[3:11] in out
    assert token[12:] not in out
    assert json.loads(path.read_text())["keys"][0]["sha256"] not in out


def test_a_key_is_revoked_by_its_id(path: Path) -> None:
    first, second = (keys(path, "create")[1].strip() for _ in range(2))
    ring = Keyring(path)
    assert keys(path, "revoke", first[3:11])[0] == 0

    assert ring.find(first) is None
    assert ring.find(second) is not None
    code, _, error = keys(path, "revoke", first[3:11])
    assert code == 1
    assert "There is no key" in error


def test_keys_made_at_the_same_time_are_all_there(path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: KeyFile(path).create("", [KeyScope.INFER])[1], range(24)))

    assert [Keyring(path).find(token) is not None for token in made] == [True] * 24
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("command", [("create",), ("list",), ("revoke", "00000000")])
def test_a_file_that_holds_something_else_is_left_alone(path: Path, command: tuple[str, ...]) -> None:
    path.write_text("my notes")
    code, _, error = keys(path, *command)

    assert code == 1
    assert "is not a file of API keys" in error
    assert path.read_text() == "my notes"


def test_a_folder_that_is_not_there_is_named(path: Path) -> None:
    code, _, error = keys(path.parent / "none" / "keys.json", "create")

    assert code == 1
    assert "none" in error


def test_a02_a_file_without_keys_opens_no_network(path: Path) -> None:
    key, _ = KeyFile(path).create("", [KeyScope.INFER])
    KeyFile(path).revoke(key.id)
    result = CliRunner().invoke(app, ["serve", "--host", "192.0.2.1", "--api-keys", str(path)])

    assert result.exit_code == 2
    assert "layerscope keys create" in result.stderr.replace("\n", " ")
