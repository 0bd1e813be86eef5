"""Whatever is asked, in whatever company: answers are the same, byte for byte, as one after the other on a fresh service."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from answers_read import npy, tensors
from httpx2 import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers
from requests_made import NPY
from starlette.testclient import TestClient

from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

ADDRESSES = {
    "one": ["start", "conv", "norm", "act", "conv@input", "deep", "flat", "scores"],
    "two": ["start", "first", "second", "second:1", "scores"],
}
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["float32", "float16", "uint8"]),
        "layout": st.sampled_from(["nhwc", "nchw"]),
        "reduce": st.sampled_from(["mean", "max"]),
        "format": st.sampled_from(["safetensors", "json", "npz"]),
    },
)
ENGINE = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Asked:
    """A request for layers of some of a few images: few, so that many ask for the same."""

    model: str
    layers: tuple[str, ...]
    images: tuple[int, ...]
    options: tuple[tuple[str, str], ...]

    def to(self, http: TestClient) -> Response:
        pixels = np.random.default_rng(0).normal(size=(4, 12, 12, 2)).astype(np.float32)
        options = {**dict(self.options), "layers": ",".join(self.layers)}
        path = f"/v1/models/{self.model}/activations"
        return http.post(path, params=options, content=npy(pixels[list(self.images)]), headers=NPY)


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    model = draw(st.sampled_from(sorted(ADDRESSES)))
    chosen = draw(st.lists(st.sampled_from(ADDRESSES[model]), min_size=1, max_size=4, unique=True))
    images = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True))
    return Asked(model, tuple(chosen), tuple(images), tuple(sorted(draw(OPTIONS).items())))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with everything that could be fused, and one with a shared layer."""
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(2)
    start = keras.Input((12, 12, 2), name="start")
    hidden = layers.Conv2D(5, 3, name="conv")(start)
    hidden = layers.ReLU(name="act")(layers.BatchNormalization(name="norm")(hidden))
    hidden = layers.DepthwiseConv2D(3, activation="relu", name="deep")(hidden)
    hidden = layers.Dense(4, activation="softmax", name="scores")(layers.Flatten(name="flat")(hidden))
    keras.Model(start, hidden).save(folder / "one.keras")
    start = keras.Input((12, 12, 2), name="start")
    shared = layers.Conv2D(3, 3, padding="same", name="second")
    hidden = shared(shared(layers.Conv2D(3, 1, name="first")(start)))
    hidden = layers.Dense(2, name="scores")(layers.GlobalAveragePooling2D(name="pool")(hidden))
    keras.Model(start, hidden).save(folder / "two.keras")
    return folder


def service(folder: Path, **limits: int) -> Iterator[TestClient]:
    engine = LocalEngine(folder, Limits(**limits))
    engine.load_all()
    with TestClient(create_app(Settings(limits=engine.limits), engine)) as http:
        yield http
    engine.close()


@pytest.fixture(scope="module")
def busy(folder: Path) -> Iterator[TestClient]:
    """A service that keeps nothing, so that everything is computed in whatever company it comes."""
    yield from service(folder, activation_cache_bytes=1, pending_requests=64)


@pytest.fixture(scope="module")
def caching(folder: Path) -> Iterator[TestClient]:
    yield from service(folder)


@pytest.fixture(scope="module")
def fresh(folder: Path) -> Iterator[TestClient]:
    yield from service(folder, activation_cache_bytes=1)


def assert_same(found: Response, expected: Response) -> None:
    assert found.status_code == expected.status_code, found.text[:300]
    for name in ("content-type", "etag", "x-model", "x-model-digest"):
        assert found.headers.get(name) == expected.headers.get(name)
    assert found.content == expected.content


@ENGINE
@given(st.lists(asked(), min_size=2, max_size=10))
def test_many_at_once_get_what_each_gets_alone(
    busy: TestClient, fresh: TestClient, requests: list[Asked]
) -> None:
    with ThreadPoolExecutor(len(requests)) as callers:
        at_once = list(callers.map(lambda each: each.to(busy), requests))
    for answer, each in zip(at_once, requests, strict=True):
        assert_same(answer, each.to(fresh))


@ENGINE
@given(st.lists(asked(), min_size=1, max_size=4))
def test_what_is_cached_is_what_was_computed(
    caching: TestClient, fresh: TestClient, requests: list[Asked]
) -> None:
    for each in [*requests, *requests]:
        assert_same(each.to(caching), each.to(fresh))


@ENGINE
@given(asked())
def test_a_union_of_selectors_is_its_parts(busy: TestClient, each: Asked) -> None:
    together = tensors(each.to(busy))
    parts = [Asked(each.model, (layer,), each.images, each.options) for layer in each.layers]
    apart: dict[str, np.ndarray] = {}
    for part in parts:
        apart |= tensors(part.to(busy))
    assert sorted(together) == sorted(apart)
    for address, values in apart.items():
        assert together[address].dtype == values.dtype
        np.testing.assert_array_equal(together[address], values)
