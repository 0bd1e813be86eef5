"""Heat maps over HTTP, beside the libraries that explain networks in process.

tf-keras-vis returns arrays and tf-explain pictures, so the service returns the same: a tensor as `.npy`, or the map over
the picture as PNG. All use the same network, weights, JPEG and class. tf-explain has no Score-CAM and tf-keras-vis no
occlusion.

Occlusion runs only what a patch changes. Its time therefore depends on the receptive fields of the network: the units of
MobileNetV2 see half of the image after a third of the work, those of VGG16 after nine tenths of it.

The comparison with the bare session call shows the cost of the network itself: TensorFlow's own call, on the graph as it
was traced, in batches of 32 as in the libraries. In the libraries, Score-CAM also takes long to make masks.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import urlencode

import keras
import numpy as np
from rig.connection import Connection
from rig.figures import Figure, ratio
from rig.models import SIDE, bare_call, decode, load, mobilenet, save
from rig.paired import Way, compare
from rig.peers import worker
from rig.pictures import pictures
from rig.service import serve

MODEL = "MobileNetV2"
CLASS = 3
LAST, NARROW, CHANNELS = "out_relu", "block_15_add", 160
PATCH = SIDE // 8
SLOW_TURNS = 9
BATCH = 32


def measure() -> dict[str, Figure]:
    """Grad-CAM, Score-CAM and occlusion of MobileNetV2, and occlusion of VGG16."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder, "models")
        figures = dict(_against_peers("MobileNetV2", mobilenet(), models, _mobilenet_rows()))
        figures |= _against_the_session(models)
    with tempfile.TemporaryDirectory() as folder:
        vgg = keras.applications.VGG16(weights=None)
        return figures | dict(_against_peers("VGG16", vgg, Path(folder, "models"), _vgg_rows()))


def _path(model: str, method: str, **options: object) -> str:
    return f"/v1/models/{model.lower()}/attributions/{method}?{urlencode({'target': CLASS, **options})}"


@dataclass(frozen=True)
class _Row:
    """One comparison: the request to the service, and the task of the peer by name."""

    task: str
    path: str
    what: str
    against: str
    least: int
    turns: int
    warm_up: int = 1


def _mobilenet_rows() -> list[_Row]:
    return [
        _Row(
            "gradcam vis",
            _path(MODEL, "gradcam", layer=LAST, format="npy"),
            f"Grad-CAM of {LAST}, as tensor over HTTP",
            "Gradcam of tf-keras-vis",
            least=8,
            turns=15,
            warm_up=2,
        ),
        _Row(
            "gradcam explain",
            _path(MODEL, "gradcam.png", layer=LAST),
            f"Grad-CAM of {LAST}, over the picture as PNG over HTTP",
            "GradCAM of tf-explain, saved as PNG",
            least=8,
            turns=15,
            warm_up=2,
        ),
        _Row(
            "scorecam vis",
            _path(MODEL, "scorecam", layer=NARROW, format="npy"),
            f"Score-CAM of {NARROW}, {CHANNELS} channels, as tensor over HTTP",
            "Scorecam of tf-keras-vis",
            least=3,
            turns=SLOW_TURNS,
        ),
        _occlusion(MODEL, turns=SLOW_TURNS),
    ]


def _vgg_rows() -> list[_Row]:
    return [_occlusion("VGG16", turns=3)]


def _occlusion(model: str, turns: int) -> _Row:
    return _Row(
        "occlusion explain",
        _path(model, "occlusion.png", patch=PATCH),
        f"occlusion of {model} by patches of {PATCH}x{PATCH}, over the picture as PNG over HTTP",
        "OcclusionSensitivity of tf-explain, batches of 32, saved as PNG",
        least=3,
        turns=turns,
    )


def _against_peers(
    name: str, network: keras.Model, models: Path, rows: Sequence[_Row]
) -> Iterator[tuple[str, Figure]]:
    weights = models.parent / "weights.npz"
    np.savez(weights, *network.get_weights())
    save(network, models, name.lower())
    images = pictures(SIDE, SIDE)
    with (
        serve(models) as service,
        Connection(service.address) as connection,
        worker("visualisers", "attributions_worker.py", name, str(weights), str(CLASS)) as peer,
    ):
        for row in rows:
            pairs = compare(
                row.task,
                Way.timed(lambda jpeg, path=row.path: connection.post(path, jpeg, "image/jpeg"), service.cpu),
                peer.way(row.task),
                islice(images, row.turns + row.warm_up),
                warm_up=row.warm_up,
            )
            figure = ratio(pairs, what=row.what, against=row.against, unit="x as fast", least=row.least)
            yield f"{name.lower()}_{row.task.replace(' ', '_')}", figure


def _against_the_session(models: Path) -> Iterator[tuple[str, Figure]]:
    """Cost of the network itself, for as many versions of an image as a method runs."""
    call = bare_call(load(models), ["outputs"])
    rows = {
        "scorecam_session": (_path(MODEL, "scorecam", layer=NARROW, format="npy"), CHANNELS, "Score-CAM"),
        "occlusion_session": (_path(MODEL, "occlusion", patch=PATCH, format="npy"), 64, "occlusion"),
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
