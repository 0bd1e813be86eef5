"""A LitServe server for one layer, written as its documentation recommends: batches, and bytes as the answer."""

import argparse
import base64
from collections.abc import Sequence

import litserve as ls
import numpy as np
from fastapi import Response
from layer_function import Array, decode, layer_function


class Activations(ls.LitAPI):
    """Images come as base64 in JSON, the way LitServe's examples take them; float32 goes out as it is in memory."""

    def __init__(self, path: str, layer: str, **batching: float) -> None:
        super().__init__(**batching)
        self._path = path
        self._layer = layer

    def setup(self, device: str) -> None:  # noqa: ARG002 - there is one
        """Build the function in the worker."""
        self._run = layer_function(self._path, self._layer)

    def decode_request(self, request: dict) -> Array:
        """One image."""
        return decode(base64.b64decode(request["image"]))

    def batch(self, inputs: Sequence[Array]) -> Array:
        """Images that wait together."""
        return np.stack(inputs)

    def predict(self, batch: Array) -> Array:
        """The layer's values."""
        return self._run(batch)

    def unbatch(self, output: Array) -> list[Array]:
        """One array an image."""
        return list(output)

    def encode_response(self, output: Array) -> Response:
        """The bytes of one array."""
        return Response(output.tobytes(), media_type="application/octet-stream")


def main() -> None:
    """Serve on the port that was given."""
    options = argparse.ArgumentParser()
    options.add_argument("path")
    options.add_argument("layer")
    options.add_argument("port", type=int)
    options.add_argument("--workers", type=int, default=1)
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--timeout", type=float, default=0.002)
    options.add_argument("--fast-queue", action="store_true")
    given = options.parse_args()
    api = Activations(given.path, given.layer, max_batch_size=given.batch, batch_timeout=given.timeout)
    server = ls.LitServer(
        api, accelerator="cpu", workers_per_device=given.workers, fast_queue=given.fast_queue
    )
    server.run(host="127.0.0.1", port=given.port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
