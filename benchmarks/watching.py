"""Cost of watched layers.

The same service twice: with its defaults, and with `watch_layers`. Watched layers are computed with every run, and their
statistics before the answer is made. A request for an early layer therefore takes as long as the last watched layer.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from rig.connection import Connection, activations_path
from rig.figures import Figure, ratio
from rig.models import MIDDLE, SIDE, mobilenet, save
from rig.paired import Way, compare
from rig.pictures import pictures
from rig.service import Service, serve

MODEL = "mobilenetv2"
LAST = "out_relu"
FOUR = ("block_3_expand_relu", MIDDLE, "block_13_expand_relu", LAST)
TURNS = 105


def measure() -> dict[str, Figure]:
    """Predictions of MobileNetV2 with one and four layers watched, and one layer with a later one watched."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        save(mobilenet(), Path(folder), MODEL)

        def served(*layers: str) -> tuple[Service, Connection]:
            watched = json.dumps([f"{MODEL}:{layer}" for layer in layers])
            service = running.enter_context(serve(Path(folder), settings={"watch_layers": watched}))
            return service, running.enter_context(Connection(service.address))

        plain, one, four = served(), served(MIDDLE), served(*FOUR)
        new = pictures(SIDE, SIDE)
        return {
            "one": _compared("outputs", plain, one, new, "a layer in the middle watched"),
            "four": _compared(
                "outputs", plain, four, new, "four layers watched, from the third block to the last"
            ),
            "later": _compared(MIDDLE, plain, four, new, "four layers watched, the last of them behind it"),
        }


def _compared(
    layer: str,
    plain: tuple[Service, Connection],
    watching: tuple[Service, Connection],
    images: Iterator[bytes],
    what: str,
) -> Figure:
    path = activations_path(MODEL, layers=layer)

    def way(side: tuple[Service, Connection]) -> Way:
        service, connection = side
        return Way.timed(lambda jpeg: connection.post(path, jpeg, "image/jpeg"), service.cpu)

    return ratio(
        compare(what, way(watching), way(plain), islice(images, TURNS)),
        what=f"{layer} of MobileNetV2 over HTTP, with {what}",
        against="the same without",
        unit="x the time",
    )
