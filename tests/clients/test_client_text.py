"""Texts and tokens by the Python client, blocking and awaited."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient

from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_client import AsyncClient, Client, Text, Token, Tokens, errors
from text_networks import write_text_models


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_text_models(folder)
    return folder


@pytest.fixture(scope="module")
def scope(models: Path) -> Iterator[Client]:
    with TestClient(create_app(Settings(models=models))) as http:
        yield Client(http=http)


def test_a_text_is_taken_like_an_image_by_every_call(scope: Client) -> None:
    sentences = scope.model("sentences")
    text = Text("An integer is a whole number 😀.")
    found = sentences.activations([text, Text("")], "probabilities")
    assert found["probabilities"].shape == (2, 4)
    assert found.tokens[0][0] == Token("[CLS]", 2, None, None)
    assert found.tokens[0][1] == Token("an", found.tokens[0][1].id, 0, 2)
    assert [len(row) for row in found.tokens] == [32, 32]

    stored = scope.upload(text)
    assert (stored.format, stored.width, stored.id) == ("text", None, found.images[0])
    for each in (text, stored, stored.id):
        best = sentences.predictions(each)["outputs"][0]["predictions"]
        assert best is not None
        assert best[0][0]["name"] == "numbers"
    ids = [token.id for token in found.tokens[0] if token.text != "[PAD]"]
    again = sentences.activations(Tokens(ids), "probabilities")
    np.testing.assert_array_equal(again["probabilities"], found["probabilities"][:1])
    assert sentences.plan(text, "embedding")["images"] == 1
    assert sentences.feature_map(text, "embedding").png.startswith(b"\x89PNG")
    # What was deleted is sent again.
    scope.forget(stored)
    assert sentences.activations(text, "probabilities").images == (stored.id,)
    with pytest.raises(errors.TextTooLong):
        sentences.predictions(Text("a" * 300_000))


def test_ids_mask_and_segments_come_from_a_text_or_from_arrays_by_name(scope: Client) -> None:
    model = scope.model("segments")
    found = model.activations([Text("the film"), Text("bad, bad, unseen")], "all")
    inputs = {
        "token_ids": np.array([[1, 2, 0, 0, 0, 0], [4, 4, 5, 0, 0, 0]], np.int32),
        "padding_mask": np.array([[1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]], np.int64),
        "segment_ids": np.zeros((2, 6), bool),
    }
    given = model.activations(inputs, "all")
    assert len(found.images) == 2
    for address, values in found.items():
        np.testing.assert_array_equal(values, given[address])
    assert found["kept"].any(axis=-1).tolist() == inputs["padding_mask"].astype(bool).tolist()
    assert found["token_ids"].dtype == np.int32


def test_an_array_of_whole_numbers_is_a_tensor(scope: Client) -> None:
    sentences = scope.model("sentences")
    ids = scope.model("sentences").activations(Text("a class"), "tokens")["tokens"]
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(
        sentences.activations(ids, "probabilities")["probabilities"],
        sentences.activations(Text("a class"), "probabilities")["probabilities"],
    )


def test_texts_are_awaited_too(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "words", tmp_path / "words")
    app = create_app(Settings(models=tmp_path))

    async def calls() -> None:
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://testserver") as http,
            AsyncClient(http=http) as scope,
        ):
            found = await scope.model("words").activations(Text("The FILM!"), "out")
            assert [token.text for token in found.tokens[0]] == ["the", "film"]

    asyncio.run(calls())
