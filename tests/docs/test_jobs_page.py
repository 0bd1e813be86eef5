"""The page on jobs: its settings, its request and its Python, against a service of this process."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

import layerscope_client
from digit_images import write_digits
from layerscope.jobs.record import State
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "jobs.md").read_text("utf-8")
EXPORTED = dict(re.findall(r"^export (LAYERSCOPE_\w+)='?(.*?)'?$", TEXT, re.MULTILINE))
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_from_a_folder_to_a_table_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_digits(tmp_path / "photos")
    (tmp_path / "features").mkdir()
    assert len(EXPORTED) == 3
    for name, value in EXPORTED.items():
        monkeypatch.setenv(name, value.replace("/data", str(tmp_path)))
    client = layerscope_client.Client
    # What a table is, is a matter of pandas.
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=list))
    with TestClient(create_app(Settings(models=None))) as http:
        monkeypatch.setattr(layerscope_client, "Client", lambda _: client(http=http))
        asked = re.search(r"curl \S+ -H '(.*?): (.*?)' -d '(.*?)'", TEXT)
        assert asked is not None
        name, kind, body = asked.groups()
        # It is the job that the Python asks for, too, and goes on with while it runs.
        started = http.post("/v1/jobs", content=body, headers={name: kind})
        told: dict[str, Any] = {}
        for block in PYTHON:
            exec(block, told)  # noqa: S102 - of our own page
    assert told["job"].state == "done"
    assert len(told["features"]) == 10
    assert len(told["features"][0]["dense"]) == 32
    assert started.json()["id"] == told["job"].id
    assert json.loads(body)["to"] == told["job"].to


def test_the_page_tells_every_state_and_only_those() -> None:
    rows = re.search(r"\| state \| meaning \|\n.*?\n(.*?)\n\n", TEXT, re.DOTALL)
    assert rows is not None
    assert re.findall(r"^\| `(\w+)` \|", rows[1], re.MULTILINE) == list(State.__args__)
