"""Heat maps over HTTP, beside the libraries that people explain networks with in process.

tf-keras-vis gives arrays and tf-explain pictures, so the service is asked for the same: a tensor as `.npy`, or the map
over the picture as PNG. All have the same MobileNetV2, the same weights, the same JPEG and explain the same class.
tf-explain has no Score-CAM and tf-keras-vis no occlusion.

Beside the bare session call is said what the network itself costs: TensorFlow's own call, on the graph as it was traced
and in batches of 32, as the libraries run theirs. Nearly all that occlusion takes is runs of the network, so that it
cannot be faster than a plan of the service is beside Keras; the libraries' Score-CAM takes long besides to make masks.
"""

import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from rig.connection import Connection
from rig.figures import Figure, ratio
from rig.models import SIDE, bare_call, decode, load, mobilenet, save
from rig.paired import Way, compare
from rig.peers import Worker, worker
from rig.pictures import pictures
from rig.service import Service, serve

MODEL = "mobilenetv2"
CLASS = 3
LAST, NARROW, CHANNELS = "out_relu", "block_15_add", 160
PATCH = SIDE // 8
TURNS, SLOW_TURNS = 15, 5
BATCH = 32


def measure() -> dict[str, Figure]:
    """Grad-CAM, Score-CAM and occlusion of MobileNetV2."""
    with tempfile.TemporaryDirectory() as folder:
        network, models = mobilenet(), Path(folder, "models")
        weights = Path(folder, "weights.npz")
        np.savez(weights, *network.get_weights())
        save(network, models, MODEL)
        with (
            serve(models) as service,
            Connection(service.address) as connection,
            worker("visualisers", "attributions_worker.py", str(weights), str(CLASS)) as peer,
        ):
            figures = dict(_against_peers(service, connection, peer))
        return figures | dict(_against_the_session(models))


def _path(method: str, **options: object) -> str:
    return f"/v1/models/{MODEL}/attributions/{method}?{urlencode({'target': CLASS, **options})}"


def _against_peers(service: Service, connection: Connection, peer: Worker) -> Iterator[tuple[str, Figure]]:
    scorecam = f"Score-CAM of {NARROW}, {CHANNELS} channels, as tensor over HTTP"
    occlusion = f"occlusion by patches of {PATCH}x{PATCH}, over the picture as PNG over HTTP"
    rows = {
        "gradcam vis": (
            _path("gradcam", layer=LAST, format="npy"),
            f"Grad-CAM of {LAST}, as tensor over HTTP",
            "Gradcam of tf-keras-vis",
            8,
        ),
        "gradcam explain": (
            _path("gradcam.png", layer=LAST),
            f"Grad-CAM of {LAST}, over the picture as PNG over HTTP",
            "GradCAM of tf-explain, saved as PNG",
            8,
        ),
        "scorecam vis": (
            _path("scorecam", layer=NARROW, format="npy"),
            scorecam,
            "Scorecam of tf-keras-vis",
            3,
        ),
        "occlusion explain": (
            _path("occlusion.png", patch=PATCH),
            occlusion,
            "OcclusionSensitivity of tf-explain, batches of 32, saved as PNG",
            3,
        ),
    }
    images = pictures(SIDE, SIDE)
    for task, (path, what, against, goal) in rows.items():
        turns = TURNS if "gradcam" in task else SLOW_TURNS
        warm_up = 2 if "gradcam" in task else 1
        pairs = compare(
            task,
            Way.timed(lambda jpeg, path=path: connection.post(path, jpeg, "image/jpeg"), service.cpu),
            peer.way(task),
            islice(images, turns + warm_up),
            warm_up=warm_up,
        )
        yield task.replace(" ", "_"), ratio(pairs, what=what, against=against, unit="x as fast", least=goal)


def _against_the_session(models: Path) -> Iterator[tuple[str, Figure]]:
    """What the network itself costs, for as many versions of an image as a method runs."""
    call = bare_call(load(models), ["outputs"])
    rows = {
        "scorecam_session": (_path("scorecam", layer=NARROW, format="npy"), CHANNELS, "Score-CAM"),
        "occlusion_session": (_path("occlusion", patch=PATCH, format="npy"), 65, "occlusion"),
    }
    with serve(models) as service, Connection(service.address) as connection:
        for name, (path, runs, title) in rows.items():
            pairs = compare(
                name,
                Way.timed(lambda jpeg, path=path: connection.post(path, jpeg, "image/jpeg"), service.cpu),
                Way.timed(_repeated(call, runs)),
                islice(pictures(SIDE, SIDE, seed=1), SLOW_TURNS + 1),
                warm_up=1,
            )
            what = f"{title} as tensor over HTTP: {runs} versions of an image"
            against = f"the bare session call for {runs} images, none of them made"
            yield name, ratio(pairs, what=what, against=against, unit="x the time")


def _repeated(call: Callable[[np.ndarray], object], runs: int) -> Callable[[bytes], None]:
    def run(jpeg: bytes) -> None:
        batch = np.repeat(decode(jpeg)[np.newaxis], BATCH, axis=0)
        for start in range(0, runs, BATCH):
            call(batch[: min(BATCH, runs - start)])

    return run
