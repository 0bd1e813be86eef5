"""Cost of authentication, host and origin checks, and logs.

The same service twice: with its defaults, and configured for a network, with keys, allowed hosts, an allowed origin,
control and uploads of models, and a log of one JSON line for each request.
"""

import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

from rig.connection import Connection, activations_path
from rig.figures import Figure, ratio
from rig.models import MIDDLE, SIDE, mobilenet, save
from rig.paired import Way, compare
from rig.pictures import pictures
from rig.service import Service, serve

MODEL = "mobilenetv2"
TURNS = 205


def measure() -> dict[str, Figure]:
    """One layer of MobileNetV2."""
    with tempfile.TemporaryDirectory() as folder:
        models, keys = Path(folder, "models"), Path(folder, "keys.json")
        save(mobilenet(), models, MODEL)
        key = _key(keys)
        closed = {
            "api_keys": str(keys),
            "allowed_hosts": '["layerscope.example"]',
            "cors_origins": '["https://layerscope.example"]',
            "control": "explicit",
            "load": '["*"]',
            "allow_upload": "true",
            "log_format": "json",
        }
        with (
            serve(models) as plain,
            serve(models, settings=closed) as guarded,
            Connection(plain.address) as bare,
            Connection(guarded.address, key) as through,
        ):
            return {"middle": _compared(plain, guarded, bare, through)}


def _compared(plain: Service, guarded: Service, bare: Connection, through: Connection) -> Figure:
    path = activations_path(MODEL, layers=MIDDLE)
    ours = Way.timed(lambda jpeg: through.post(path, jpeg, "image/jpeg"), guarded.cpu)
    theirs = Way.timed(lambda jpeg: bare.post(path, jpeg, "image/jpeg"), plain.cpu)
    return ratio(
        compare("keys, hosts, origins, uploads, logs", ours, theirs, islice(pictures(SIDE, SIDE), TURNS)),
        what=f"{MIDDLE} of MobileNetV2 over HTTP with keys, allowed hosts and origins, control, uploads and JSON logs",
        against="the same without",
        unit="x the time",
        most=1.1,
    )


def _key(keys: Path) -> str:
    """A key with the scope `infer`."""
    command = [
        sys.executable,
        "-m",
        "layerscope_api",
        "keys",
        "create",
        "--api-keys",
        str(keys),
        "--scope",
        "infer",
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
