"""Cost of a comparison: 64 images in two MobileNetV2 of different weights, and the change of every layer.

The comparison is asked for over HTTP, of new images each time. It is measured against bare session calls of both models, which
compute all layers of each image and throw the values away.
"""

import tempfile
from functools import partial
from itertools import islice
from pathlib import Path
from urllib.parse import urlencode

from rig.connection import FORM, Connection, form_of
from rig.figures import Figure, ratio
from rig.models import SIDE, bare_call, decode, load, mobilenet, save
from rig.paired import Way, compare
from rig.pictures import pictures
from rig.service import serve

MODELS = ("reference", "candidate")
IMAGES = 64
TURNS, WARM_UP = 6, 1
MEASURES = {
    "distance": ("relative L2 and cosine", "relative_l2,cosine", 2.5),
    "all": (
        "relative L2, cosine, largest difference, SQNR, CKA and RSA",
        "relative_l2,cosine,max,sqnr_db,cka,rsa",
        None,
    ),
}


def measure() -> dict[str, Figure]:
    """A comparison of all layers, by the measures that say where models differ, and by all."""
    with tempfile.TemporaryDirectory() as folder:
        served, calls = Path(folder) / "served", []
        for name in MODELS:
            model = mobilenet()
            save(model, served, name)
            save(model, Path(folder) / name, name)
            calls.append(bare_call(load(Path(folder) / name), ["all"]))

        def bare(images: list[bytes]) -> None:
            for image in images:
                values = decode(image)[None]
                for call in calls:
                    call(values)

        figures = {}
        with serve(served) as service, Connection(service.address) as connection:
            for name, (words, measures, most) in MEASURES.items():
                options = {"reference": MODELS[0], "candidate": MODELS[1], "measures": measures}
                path = f"/v1/compare?{urlencode(options)}"
                ours = Way.timed(partial(_ask, connection, path), service.cpu)
                new = pictures(SIDE, SIDE)
                turns = [list(islice(new, IMAGES)) for _ in range(TURNS)]
                figures[name] = ratio(
                    compare(name, ours, Way.timed(bare), turns, warm_up=WARM_UP),
                    what=f"{words} of all 156 layers of two MobileNetV2 over HTTP, {IMAGES} JPEGs",
                    against="JPEG decode and the bare session calls of both for all layers",
                    unit="x the time",
                    most=most,
                )
    return figures


def _ask(connection: Connection, path: str, images: list[bytes]) -> None:
    connection.post(path, form_of(images), FORM)
