"""Pictures that can be compared: one range over several images."""

import io

import numpy as np
import pytest
from PIL import Image
from requests_made import SEVEN
from starlette.testclient import TestClient

from layerscope.demo import samples

FEATURE_MAP = "/v1/models/digits/feature-map.png"


def test_a_shared_range_is_that_of_all_images(http: TestClient) -> None:
    files = [("image", SEVEN), ("image", samples()["zero"].read_bytes())]
    look = {"layer": "conv1", "channels": "0,1"}

    def drawn(files: list[tuple[str, bytes]], **options: str) -> tuple[np.ndarray, float]:
        answer = http.post(FEATURE_MAP, files=files, data={**look, **options})
        assert answer.status_code == 200, answer.text
        pixels = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
        return pixels, float(answer.headers["X-Value-Max"])

    shared, most = drawn(files, range="shared")
    layer, _ = drawn(files, normalize="layer")

    assert most == pytest.approx(max(drawn([each], range="shared")[1] for each in files))
    np.testing.assert_array_equal(shared, layer)


def test_a_range_of_another_word_says_what_there_is(http: TestClient, seven: str) -> None:
    answer = http.get(FEATURE_MAP, params={"image": seven, "layer": "conv1", "range": "all"})

    assert answer.status_code == 422
    assert answer.json()["details"]["option"] == "range"
