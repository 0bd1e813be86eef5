"""Model files that tests send to a service, and what its store holds afterwards."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from requests_made import PNG, SEVEN
from starlette.testclient import TestClient

from layerscope.demo import MODELS
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

DEMO = (MODELS / "digits" / "1" / "model.keras").read_bytes()
DECLARATION = json.loads((MODELS / "digits" / "1" / "layerscope.json").read_text("utf-8"))
BINARY = {"Content-Type": "application/octet-stream"}

UPLOAD = {
    "type": "http",
    "method": "POST",
    "path": "/v1/models",
    "query_string": b"name=x",
    "headers": [(b"host", b"localhost"), (b"content-type", b"application/octet-stream")],
}
"""The scope of a request that sends a model, for those whose body comes as no client sends it."""


@dataclass(frozen=True)
class Store:
    """A service that takes models, and its directory."""

    http: TestClient
    models: Path

    def send(self, content: Any, name: str, headers: dict[str, str] = BINARY, **options: Any) -> Any:
        return self.http.post(
            "/v1/models", content=content, headers=headers, params={"name": name, **options}
        )

    def send_form(self, files: Any, **fields: Any) -> Any:
        return self.http.post("/v1/models", files=files, data=fields)

    def predicted(self, model: str) -> Any:
        return self.http.post(f"/v1/models/{model}/predictions", content=SEVEN, headers=PNG)

    def versions(self, name: str) -> dict[int, str]:
        rows = [row for row in self.http.get("/v1/models").json()["models"] if row["name"] == name]
        return {each["version"]: each["state"] for row in rows for each in row["versions"]}

    def tree(self) -> set[str]:
        return {str(path.relative_to(self.models)) for path in self.models.rglob("*")}


@contextmanager
def started(models: Path, **limits: int) -> Iterator[Store]:
    settings = Settings(models=models, control="explicit", allow_upload=True, limits=Limits(**limits))
    with TestClient(create_app(settings), raise_server_exceptions=False) as http:
        yield Store(http, models)


def demo_with(change: Any) -> bytes:
    """The demo model with other weights."""
    model = keras.models.load_model(MODELS / "digits" / "1" / "model.keras")
    model.set_weights([change(weights) for weights in model.get_weights()])
    return saved(model)


def saved(model: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        return path.read_bytes()
