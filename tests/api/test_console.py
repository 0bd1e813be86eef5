"""What is printed for people: names and reasons that come from files, as they are, whatever is in them."""

import json
import logging
import shutil
from pathlib import Path

import keras
import pytest
from requests_made import PREDICTIONS
from served_process import serving
from starlette.testclient import TestClient
from typer.testing import CliRunner

from layerscope.demo import MODELS
from layerscope_api.cli.app import app
from layerscope_api.context.settings import Settings
from layerscope_api.observability.logs import configure_logs
from layerscope_api.server.app import create_app

HOSTILE = ("[/x]", "[red]", ":smile:", "\x1b[2Jgone", "[link=http://x]")
"""Names of fields of a declaration that rich, or a terminal, would take for orders."""


def place(models: Path, name: str, declaration: str) -> None:
    shutil.copytree(MODELS / "digits" / "1", models / name / "1")
    (models / name / "1" / "layerscope.json").write_text(declaration, "utf-8")


def test_m09_no_name_in_a_declaration_ends_the_service(tmp_path: Path) -> None:
    for number, name in enumerate(HOSTILE):
        place(tmp_path, f"bad{number}", json.dumps({name: 1}))
    shutil.copytree(MODELS / "digits", tmp_path / "digits")
    with serving("--models", str(tmp_path)) as service:
        assert service.ask("POST", PREDICTIONS)[0] == 200
        said = "".join(service.lines)
    for number, name in enumerate(HOSTILE):
        assert f"✗ bad{number}@1: layerscope.json is wrong at {name.replace(chr(27), '?')}" in said
    assert "\x1b[2J" not in said


def test_no_message_passes_for_another_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        configure_logs("text")
        logging.getLogger("any").warning(
            "a name: %s", "x\n2026-01-01T00:00:00.000+00:00 error \x1b[31mforged"
        )
    finally:
        logging.getLogger().handlers.clear()
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("warning a name: x")
    assert second == "  2026-01-01T00:00:00.000+00:00 error ?[31mforged"


def test_a_reason_can_be_sent(tmp_path: Path) -> None:
    """Half a surrogate pair, which JSON can write and UTF-8 cannot."""
    place(tmp_path, "bad", r'{"\ud800": 1}')
    with TestClient(create_app(Settings(models=tmp_path, control="explicit", allow_upload=True))) as http:
        loaded = http.post("/v1/models/bad/load")
        assert (loaded.status_code, loaded.json()["code"]) == (422, "model_refused")
        assert "not valid JSON" in loaded.json()["error"]
        assert http.get("/v1/models").status_code == 200
        body = (MODELS / "digits" / "1" / "model.keras").read_bytes()
        sent = http.post(
            "/v1/models",
            content=body,
            headers={"Content-Type": "application/octet-stream"},
            params={"name": "sent", "declaration": r'{"\ud800": 1}'},
        )
        assert (sent.status_code, sent.json()["code"]) == (422, "model_refused")


@pytest.mark.parametrize("name", ["[x]", "[red]hidden"])
def test_files_are_listed_by_the_names_they_have(tmp_path: Path, name: str) -> None:
    start = keras.Input((4,))
    path = tmp_path / f"{name}.keras"
    keras.Model(start, keras.layers.Dense(2)(start)).save(path)
    listed = CliRunner().invoke(app, ["layers", str(path)], env={"COLUMNS": "160"})
    assert (listed.exit_code, f"{name}.keras: 2 taps" in listed.output) == (0, True), listed.output
    checked = CliRunner().invoke(app, ["models", "check", str(path)], env={"COLUMNS": "160"})
    assert (checked.exit_code, f"{name}.keras: accepted" in checked.stdout) == (0, True), checked.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--models", "/none/[/x]"],
        ["keys", "revoke", "--api-keys", "[/x].json", "00000000"],
        ["keys", "list", "--api-keys", "/[/x]/keys.json"],
    ],
)
def test_what_was_typed_is_named_as_it_was_typed(arguments: list[str]) -> None:
    said = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"})
    assert isinstance(said.exception, SystemExit | None), said.exception
    assert "Traceback" not in said.output
