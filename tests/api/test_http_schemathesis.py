"""R08: the running service keeps its contract, whatever is asked: by schemathesis, with all of its checks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from served_process import serving

from layerscope_api.context.api_keys import KeyFile, KeyScope

COMMAND = Path(sys.executable).with_name("schemathesis")
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.contract
def test_r08_no_answer_is_undocumented(tmp_path: Path) -> None:
    attack(tmp_path, "--max-time", "30", "--generation-deterministic")


@pytest.mark.soak
def test_r08_no_answer_is_undocumented_in_ten_minutes(tmp_path: Path) -> None:
    attack(tmp_path, "--max-time", "600")


def attack(folder: Path, *options: str) -> None:
    """Ask a service that runs with keys for all that its contract knows; it has every scope."""
    _, token = KeyFile(folder / "keys.json").create("schemathesis", [*KeyScope])
    (folder / "photos").mkdir()
    (folder / "features").mkdir()
    places = {name: str(folder / name) for name in ("photos", "features")}
    settings = {
        "LAYERSCOPE_JOBS": str(folder / "jobs"),
        "LAYERSCOPE_PLACES": json.dumps(places),
        "LAYERSCOPE_WRITABLE_PLACES": '["features"]',
    }
    with serving("--api-keys", str(folder / "keys.json"), **settings) as service:
        address = f"http://127.0.0.1:{service.port}/openapi.json"
        command = [
            COMMAND,
            "--config-file",
            CONFIG,
            "run",
            address,
            "--checks",
            "all",
            "--no-color",
            *options,
        ]
        environment = os.environ | {"LAYERSCOPE_KEY": token}
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=folder, env=environment
        )
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
        assert service.ask("GET", "/v2/health/ready")[0] == 200
    assert "Traceback" not in "".join(service.lines)
