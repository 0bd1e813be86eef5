"""The page on data sets: its settings, its requests and its Python, against a service of this process."""

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

import layerscope_client
from digit_images import write_digits
from layerscope_api.cli.app import app
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "datasets.md").read_text("utf-8")
EXPORTED = dict(re.findall(r"^export (LAYERSCOPE_\w+)='?(.*?)'?$", TEXT, re.MULTILINE))
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^layerscope (datasets .+)$", TEXT, re.MULTILINE)
REQUESTS = re.findall(r"^curl (-X DELETE )?(?:-o \S+ )?http://127.0.0.1:8000(/\S+)$", TEXT, re.MULTILINE)


def test_the_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos" / "2026").mkdir(parents=True)
    write_digits(tmp_path / "photos" / "2026" / "seven")
    for name, value in EXPORTED.items():
        monkeypatch.setenv(name, value.replace("/data", str(tmp_path)))
    for command in COMMANDS:
        done = CliRunner().invoke(app, command.split())
        assert done.exit_code == 0, done.output
    client = layerscope_client.Client
    with TestClient(create_app(Settings(models=None))) as http:
        monkeypatch.setattr(layerscope_client, "Client", lambda _: client(http=http))
        registered = re.search(r"curl \S+ -H '(.*?): (.*?)' -d '(.*?)'", TEXT)
        assert registered is not None
        name, kind, body = registered.groups()
        made = http.post("/v1/datasets", content=body, headers={name: kind})
        assert made.json()["label_counts"] == [{"label": "seven", "images": 10}]
        told: dict[str, Any] = {}
        for block in PYTHON:
            exec(block, told)  # noqa: S102 - of our own page
        assert told["features"].shape == (10, 32)
        assert len(REQUESTS) == 6
        for delete, path in REQUESTS:
            answer = http.request("DELETE" if delete else "GET", path.replace("\\", ""))
            assert answer.is_success, answer.text
        assert http.get("/v1/datasets").json()["total"] == 0
