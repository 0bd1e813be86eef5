"""Libraries that show activations in process, beside the service over HTTP.

tf-explain draws a grid of a layer's channels; keract returns arrays, and draws them with matplotlib. Both build what they
need for every image. tf-keras-vis has nothing that shows the activations of an image. All use the same JPEG.
"""

import tempfile
from itertools import islice
from pathlib import Path

from rig.connection import Connection, activations_path, feature_map_path
from rig.figures import Figure, ratio
from rig.models import MIDDLE, SIDE, mobilenet, save
from rig.paired import Way, compare
from rig.peers import worker
from rig.pictures import pictures
from rig.service import serve

MODEL = "mobilenetv2"
TURNS = 15
WARM_UP = 2


def measure() -> dict[str, Figure]:
    """One layer of MobileNetV2, as a picture and as a tensor."""
    picture = feature_map_path(MODEL, layer=MIDDLE)
    tensor = activations_path(MODEL, layers=MIDDLE)
    images = pictures(SIDE, SIDE)
    rows = {
        "tf-explain": (picture, "a grid of all channels", "ExtractActivations of tf-explain, saved as PNG"),
        "keract": (tensor, "the tensor", "get_activations of keract"),
        "keract picture": (picture, "a grid of all channels", "display_activations of keract, saved as PNG"),
    }
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        save(mobilenet(), Path(folder), MODEL)
        with (
            serve(Path(folder)) as service,
            Connection(service.address) as connection,
            worker("visualisers", "visualisers_worker.py", MIDDLE) as peer,
        ):
            for task, (path, what, against) in rows.items():
                pairs = compare(
                    task,
                    Way.timed(lambda jpeg, path=path: connection.post(path, jpeg, "image/jpeg"), service.cpu),
                    peer.way(task),
                    islice(images, TURNS + WARM_UP),
                    warm_up=WARM_UP,
                )
                figures[task.replace("-", "_").replace(" ", "_")] = ratio(
                    pairs, what=f"{what} of {MIDDLE} over HTTP", against=against, unit="x as fast"
                )
    return figures
