"""Attributions through the client: values, pictures, progress, and cancellation."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient

from intercepted_engine import InterceptedEngine, Run
from layerscope import demo
from layerscope.attribution import METHODS
from layerscope.demo import samples
from layerscope.errors import QueueFull
from layerscope.execution.interface import CancellationToken, Progress, Result
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_client import AsyncClient, Client, Model, errors

SEVEN, THREE = samples()["seven"], samples()["three"]


def test_maps_come_with_what_they_explain(digits: Model) -> None:
    found = digits.attribution([SEVEN, THREE], "gradcam", layer="conv2")

    assert (found.maps.shape, found.maps.dtype, found.layer) == ((2, 14, 14), np.float32, "conv2")
    assert [target["class"] for target in found.targets] == [7, 3]
    assert found.explanation["options"]["layer"] == "conv2"
    assert (found.model, found.digest) == ("digits@1", digits.describe()["digest"])
    assert len(found.images) == 2
    assert "gradcam" in repr(found)


@pytest.mark.parametrize("image", [SEVEN, np.full((1, 28, 28, 1), 0.5, np.float32), {"input": THREE}])
def test_progress_changes_nothing_but_that_it_is_reported(digits: Model, image: Any) -> None:
    reported: list[tuple[int, int]] = []
    options: Any = {"patch": 5, "target": 7}

    streamed = digits.attribution(
        image, "occlusion", progress=lambda done, total: reported.append((done, total)), **options
    )
    plain = digits.attribution(image, "occlusion", **options)

    np.testing.assert_array_equal(streamed.maps, plain.maps)
    assert streamed.explanation == plain.explanation
    assert (streamed.model, streamed.digest, streamed.images) == (plain.model, plain.digest, plain.images)
    assert reported
    assert reported == sorted(reported)
    assert reported[-1] == (36, 36)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_picture(digits: Model, method: str) -> None:
    picture = digits.attribution_picture(SEVEN, method, alpha=0.3, colormap="magma", scale=2)

    assert picture.to_pil().size == (56, 56)
    assert picture.layer == ("input" if METHODS[method].kind == "input" else "conv3")
    assert picture.model == "digits@1"


def test_methods_are_listed(scope: Client) -> None:
    methods = {method["name"]: method for method in scope.attribution_methods()}
    assert list(methods) == list(METHODS)
    (samples_option,) = (each for each in methods["smoothgrad"]["options"] if each["name"] == "samples")
    assert samples_option["default"] == 25


def test_inspect_leads_to_heat_maps(digits: Model) -> None:
    body = digits.inspect(SEVEN, "conv1", methods=["gradcam", "saliency"], target=3)

    assert [row["method"] for row in body["attributions"]] == ["gradcam", "saliency"]
    link = body["attributions"][0]["picture"]
    assert link is not None
    assert digits.picture(link) == digits.attribution_picture(SEVEN, "gradcam", target=3)


def test_what_is_refused_is_raised_with_and_without_progress(digits: Model) -> None:
    for progress in (None, print):
        with pytest.raises(errors.OptionInvalid, match="10 classes"):
            digits.attribution(SEVEN, "occlusion", progress=progress, target=10)
        with pytest.raises(errors.OptionInvalid, match="no attribution method"):
            digits.attribution(SEVEN, "gradcan", progress=progress)
    for method in ("../predictions", "", "gradcam.png", "a b"):
        with pytest.raises(ValueError, match="no attribution method"):
            digits.attribution(SEVEN, method)


class Breaking(InterceptedEngine):
    """An engine in which other requests interrupt an attribution that has begun."""

    def running(
        self, run: Run, cancellation: CancellationToken, progress: Progress | None
    ) -> AbstractContextManager[Result]:
        assert progress is not None
        progress(1, 2)
        raise QueueFull("Too many others.")


@pytest.fixture
def breaking() -> Iterator[TestClient]:
    engine = Breaking(demo.MODELS)
    engine.load_all()
    with TestClient(create_app(Settings(models=None), engine)) as http:
        yield http
    engine.close()


def test_an_error_on_the_way_is_raised(breaking: TestClient) -> None:
    with pytest.raises(errors.QueueFull, match="Too many others") as raised:
        Client(http=breaking).model("digits").attribution(SEVEN, "occlusion", progress=lambda *_: None)
    assert raised.value.status is None
    assert raised.value.request_id


@pytest.mark.parametrize(
    "stream", ["", '{"progress":{"done":1,"total":2}}\n', '{"progress":7}\n', '{"result":{}}\n', "?"]
)
def test_a_stream_of_something_else_is_unreadable(stream: str) -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=stream.encode()))
    with httpx2.Client(transport=transport, base_url="http://service") as http:
        digits = Client(http=http).model("digits")
        with pytest.raises(errors.AnswerUnreadable):
            digits.attribution(np.zeros((1, 28, 28, 1)), "occlusion", progress=lambda *_: None)


def test_a_busy_service_is_asked_again_for_a_stream() -> None:
    busy = httpx2.Response(429, headers={"Retry-After": "0"}, json={"error": "Busy.", "code": "queue_full"})
    answers = [busy, httpx2.Response(200, content=json.dumps({"error": "Gone.", "code": "draining"}))]
    transport = httpx2.MockTransport(lambda _: answers.pop(0))
    with httpx2.Client(transport=transport, base_url="http://service") as http:
        digits = Client(http=http).model("digits")
        with pytest.raises(errors.Draining):
            digits.attribution(np.zeros((1, 28, 28, 1)), "occlusion", progress=lambda *_: None)
    assert not answers


def test_attributions_can_be_awaited() -> None:
    asyncio.run(_awaited())


async def _awaited() -> None:
    app = create_app(Settings(models=None))
    reported: list[tuple[int, int]] = []
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://testserver") as http,
        AsyncClient(http=http) as scope,
    ):
        digits = scope.model("digits")
        streamed = await digits.attribution(
            SEVEN, "occlusion", patch=7, progress=lambda done, total: reported.append((done, total))
        )
        plain = await digits.attribution(SEVEN, "occlusion", patch=7)
        np.testing.assert_array_equal(streamed.maps, plain.maps)
        assert reported[-1] == (16, 16)
        with pytest.raises(errors.OptionInvalid):
            await digits.attribution(SEVEN, "occlusion", target=10, progress=print)
        picture = await digits.attribution_picture(SEVEN, "occlusion", patch=7)
        assert picture.layer == "input"
        assert len(await scope.attribution_methods()) == len(METHODS)
        assert "viridis" in await scope.colormaps()
        assert (await scope.thumbnail(await scope.upload(SEVEN), 14)).startswith(b"\x89PNG")
