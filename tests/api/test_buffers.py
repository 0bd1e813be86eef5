"""Bodies that are sent from where they lie."""

import numpy as np
import pytest
from starlette.testclient import TestClient

from layerscope_api.responses.buffers import BuffersResponse

KIB = 1024


def random_bytes(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


@pytest.mark.parametrize(
    "sizes",
    [[], [0], [5], [3, 0, 4], [256 * KIB], [256 * KIB - 1, 2], [100 * KIB] * 7, [10, 1_000_000, 0, 700_001]],
)
def test_buffers_arrive_as_one_body_of_known_length(sizes: list[int]) -> None:
    parts = [random_bytes(size) for size in sizes]
    buffers = [part if number % 2 else memoryview(part) for number, part in enumerate(parts)]
    whole = b"".join(parts)

    answer = TestClient(BuffersResponse(buffers, "application/x-npy", {"X-Layer": "conv1"})).get("/")

    assert answer.content == whole
    assert answer.headers["content-length"] == str(len(whole))
    assert (answer.headers["content-type"], answer.headers["x-layer"]) == ("application/x-npy", "conv1")
