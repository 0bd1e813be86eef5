"""The asynchronous client, against the real service."""

import asyncio
import inspect

import httpx2
import numpy as np
import pytest
from fastapi import FastAPI

from layerscope.demo import samples
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_client import AsyncClient, AsyncJob, AsyncModel, Client, Job, Model, errors

SEVEN = samples()["seven"]


async def every_call(app: FastAPI) -> None:
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://testserver") as http,
        AsyncClient(http=http) as scope,
    ):
        digits = scope.model("digits")
        assert [model["name"] for model in await scope.models()] == ["digits"]
        assert await scope.limits()
        assert "keras" in await scope.version()
        description, layers, graph = await asyncio.gather(
            digits.describe(), digits.layers("type:Conv2D"), digits.graph()
        )
        assert description["layers"] == len(graph["nodes"])
        layer = layers[0]["address"]
        activations, prediction, picture = await asyncio.gather(
            digits.activations(SEVEN, layers=[layer]),
            digits.predictions(SEVEN, top=1),
            digits.feature_map(SEVEN, layer=layer, channel=0),
        )
        assert activations[layer].shape == (1, *layers[0]["shape"])
        assert prediction["outputs"][0]["predictions"][0][0]["class"] == 7
        assert picture.layer == layer
        assert (await digits.overlay(SEVEN, layer, 1)).layer == layer
        assert (await digits.atlas(SEVEN, layer, 1))["layers"][0]["address"] == layer
        assert (await digits.statistics(SEVEN, layer))["layers"][0]["address"] == layer
        assert (await digits.statistics_picture(SEVEN, layer)).model == "digits@1"
        swept = await digits.ablations(SEVEN, "conv3", progress=lambda *_: None)
        assert swept.effects.shape == (1, 16)
        assert (await digits.ablations_picture(SEVEN, layers=[layer])).model == "digits@1"
        assert (await digits.edited("conv3;set=0").interventions(SEVEN))["outputs"][0]["flipped"] == [True]
        for images, count in ((SEVEN, 1), (3, 3)):
            plan = await digits.plan(images, layers=[layer])
            assert plan["layers"][0]["shape"] == [count, *layers[0]["shape"]]
        tensor = np.ones((1, 28, 28, 1), np.float32)
        np.testing.assert_array_equal((await digits.activations(tensor, layers="input"))["input"], tensor)
        stored = await scope.upload(SEVEN)
        await scope.forget(stored)
        assert (await digits.predictions(SEVEN))["images"] == [stored.id]
        await scope.forget(stored.id)
        with pytest.raises(errors.ImageNotFound):
            await digits.predictions(stored)


def test_every_call_can_be_awaited() -> None:
    asyncio.run(every_call(create_app(Settings(models=None))))


@pytest.mark.parametrize(
    ("blocking", "awaiting"), [(Client, AsyncClient), (Model, AsyncModel), (Job, AsyncJob)]
)
def test_both_clients_have_the_same_calls(blocking: type, awaiting: type) -> None:
    def calls(kind: type) -> dict[str, list[str]]:
        public = {name: call for name, call in inspect.getmembers(kind, inspect.isfunction) if name[0] != "_"}
        return {
            name.removeprefix("a") if name == "aclose" else name: list(inspect.signature(call).parameters)
            for name, call in public.items()
        }

    assert calls(blocking) == calls(awaiting)
    assert list(inspect.signature(blocking).parameters) == list(inspect.signature(awaiting).parameters)


async def nobody_there(port: int) -> None:
    async with AsyncClient(f"http://127.0.0.1:{port}") as scope:
        await scope.models()


def test_no_answer_is_an_error_of_its_own(unused_port: int) -> None:
    with pytest.raises(errors.ConnectionFailed) as failed:
        asyncio.run(nobody_there(unused_port))
    assert failed.value.details["cause"] == "ConnectError"
