"""Two services over the same directories, asked in turns, as behind a proxy that knows nothing of either."""

import shutil
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from requests_made import PNG, SEVEN, SEVEN_ID
from starlette.testclient import TestClient

from layerscope.demo import MODELS, samples
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

IMAGES = [path.read_bytes() for path in samples().values()]


class Replicas:
    """Services that are asked in turns."""

    def __init__(self, services: list[TestClient]) -> None:
        self.services = services
        self._turns = cycle(services)

    def ask(self, method: str, path: str, **options: Any) -> Any:
        return next(self._turns).request(method, f"/v1/{path}", **options)

    def look(self) -> None:
        """Let each look at the directory of models twice, as they do in `poll_seconds`."""
        for _ in range(2):
            for each in self.services:
                each.app.state.service.engine.models.poll()  # type: ignore[attr-defined]

    def listed(self) -> list[Any]:
        """What each says of its models."""
        return [each.get("/v1/models").json()["models"] for each in self.services]


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    models, images = (tmp_path_factory.mktemp(name) for name in ("models", "images"))
    for version in ("1", "2"):
        shutil.copytree(MODELS / "digits" / "1", models / "digits" / version)
        Path(models, "digits", version, "accepted.json").write_text("{}", "utf-8")
    settings = Settings(
        models=models, control="poll", poll_seconds=3_600, allow_upload=True, image_store=images
    )
    with TestClient(create_app(settings)) as one, TestClient(create_app(settings)) as other:
        yield Replicas([one, other])


def test_every_image_is_found_wherever_it_was_sent(replicas: Replicas) -> None:
    for body in IMAGES:
        image = replicas.ask("POST", "images", content=body, headers=PNG).json()["id"]
        # Three times, so that the next image is sent to the other service.
        for _ in range(3):
            assert replicas.ask("GET", f"models/digits/predictions?image={image}").status_code == 200
        replicas.ask("GET", f"images/{image}")
    assert replicas.ask("DELETE", f"images/{SEVEN_ID}").status_code == 204
    assert [replicas.ask("GET", f"images/{SEVEN_ID}").status_code for _ in "ab"] == [404, 404]


def test_labels_unloads_and_removals_are_the_same_everywhere(replicas: Replicas) -> None:
    assert replicas.ask("PUT", "models/digits@1/labels/stable").status_code == 200
    replicas.look()
    one, other = replicas.listed()
    assert one == other
    assert one[0]["labels"] == {"stable": 1}
    for method, path, states in (
        ("POST", "models/digits@1/unload", ["unloaded", "ready"]),
        ("POST", "models/digits@1/load", ["ready", "ready"]),
        ("DELETE", "models/digits@2", ["ready"]),
    ):
        assert replicas.ask(method, path).is_success
        replicas.look()
        one, other = replicas.listed()
        assert one == other
        assert [each["state"] for each in one[0]["versions"]] == states
    one, other = (
        replicas.ask("POST", "models/digits@stable/predictions", content=SEVEN, headers=PNG) for _ in "ab"
    )
    assert one.status_code == other.status_code == 200
    assert one.json() == other.json()


def test_each_gives_its_own_metrics_and_its_name(replicas: Replicas) -> None:
    for each in replicas.services:
        text = each.get("/metrics").text
        assert text.count("\nlayerscope_info{") == 1
