"""Data sets from Python: registered, listed, and their images in every call."""

import asyncio
from collections.abc import Iterator

import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient

from digit_images import write_digits
from layerscope.demo import samples
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_client import AsyncClient, Client, errors


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("data_sets")
    photos = write_digits(folder / "photos")
    settings = Settings(models=None, places={"photos": str(photos)}, datasets=folder / "catalog")
    with TestClient(create_app(settings)) as http:
        yield http


def test_a_data_set_from_its_registration_to_its_end(kept: TestClient) -> None:
    scope = Client(http=kept)
    made = scope.datasets.create("val", "photos:")
    assert (made["images"], made["unlabelled"]) == (10, 10)
    assert scope.datasets.create("val", "photos:") == made == scope.datasets.get("val")
    assert [each["name"] for each in scope.datasets.list()] == ["val"]
    page = scope.datasets.rows("val", 8)
    assert ([row["path"] for row in page["rows"]], page["next"]) == (["two.png", "zero.png"], None)
    assert scope.datasets.rows("val", limit=3)["next"] == 3
    row = scope.datasets.row("val", 8)
    assert row.items() >= page["rows"][0].items()
    assert (row["width"], row["height"], row["format"], row["shape"]) == (28, 28, "png", None)
    digits = scope.model("digits")
    images = [row["image"] for row in page["rows"]]
    by_name = digits.activations(images, "conv1")["conv1"]
    sent = digits.activations([samples()["two"], samples()["zero"]], "conv1")["conv1"]
    np.testing.assert_array_equal(by_name, sent)
    assert scope.datasets.thumbnail("val", 9, 14).startswith(b"\x89PNG")
    with pytest.raises(errors.DataSetNotFound):
        digits.predictions("dataset:val/10")
    with pytest.raises(errors.DataSetExists):
        scope.datasets.create("val", "photos:o*.png")
    with pytest.raises(errors.DataSetUnreadable):
        scope.datasets.create("none", "photos:nowhere")
    for name in ("", "a/b", ".."):
        with pytest.raises(ValueError, match="cannot be named"):
            scope.datasets.get(name)
    scope.datasets.delete("val")
    assert scope.datasets.list() == []


def test_the_same_calls_awaited(kept: TestClient) -> None:
    async def calls() -> None:
        transport = httpx2.ASGITransport(app=kept.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as http:
            scope = AsyncClient(http=http)
            made = await scope.datasets.create("later", "photos:")
            assert await scope.datasets.get("later") == made
            assert len(await scope.datasets.list()) == 1
            assert (await scope.datasets.rows("later", limit=2))["next"] == 2
            assert (await scope.datasets.row("later", 0))["path"] == "eight.png"
            assert (await scope.datasets.thumbnail("later", 0)).startswith(b"\x89PNG")
            assert (await scope.model("digits").predictions("dataset:later/0"))["images"]
            await scope.datasets.delete("later")

    asyncio.run(calls())
