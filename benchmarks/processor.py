"""OpenVINO on the same graph, for one image in float32, as an estimate of what the processor can do.

For information: the figures show how far TensorFlow itself is from the limit, which no service around it can change.
"""

import tempfile
from itertools import islice
from pathlib import Path

from rig.connection import Connection, activations_path
from rig.figures import Figure, ratio
from rig.models import MIDDLE, SIDE, bare_call, decode, load, mobilenet, save
from rig.paired import Way, compare
from rig.peers import worker
from rig.pictures import pictures
from rig.service import serve

MODEL = "mobilenetv2"
TURNS = 105


def measure() -> dict[str, Figure]:
    """One layer of MobileNetV2, JPEG in: the bare session and the service, each beside OpenVINO."""
    images = pictures(SIDE, SIDE)
    against = "JPEG decode and OpenVINO in process"
    with tempfile.TemporaryDirectory() as folder:
        save(mobilenet(), Path(folder), MODEL)
        file = Path(folder, MODEL, "1", "model.keras")
        bare = bare_call(load(Path(folder)), [MIDDLE])
        with (
            serve(Path(folder)) as service,
            Connection(service.address) as connection,
            worker("openvino", "openvino_worker.py", str(file), MIDDLE) as openvino,
        ):
            path = activations_path(MODEL, layers=MIDDLE)
            ways = {
                "session": Way.timed(lambda jpeg: bare(decode(jpeg)[None])),
                "service": Way.timed(lambda jpeg: connection.post(path, jpeg, "image/jpeg"), service.cpu),
            }
            measured = {
                name: compare(name, way, openvino.way("run"), islice(images, TURNS))
                for name, way in ways.items()
            }
    what = {
        "session": f"{MIDDLE} of MobileNetV2: JPEG decode and the bare session call",
        "service": f"{MIDDLE} of MobileNetV2 over HTTP",
    }
    return {
        name: ratio(pairs, what=what[name], against=against, unit="x the time")
        for name, pairs in measured.items()
    }
