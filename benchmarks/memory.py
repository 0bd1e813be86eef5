"""Memory of a loaded model, and the share that closing gives back: resident memory after garbage collection and malloc_trim.

Each model is measured in a process of its own that has loaded and closed it once before. What TensorFlow and Python allocate
once, some of it with the first graph, is therefore not counted. Linux only. `python benchmarks/memory.py` prints the
measurements.
"""

import ctypes
import gc
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

MODELS = ("MobileNetV2", "ResNet50", "VGG16")
PLANS = 12
CYCLES = 50
SETTLED = 5


def measure() -> dict[str, Any]:
    """Megabytes (2**20 bytes) for each of `MODELS`, and the growth over `CYCLES` loads of the demo model.

    For a model: its `weights`; the resident memory `before` it is loaded, `loaded` and idle, and `closed`; then
    loaded again, after it `ran` once, and `closed_again`. `shared` is the part of `loaded` that the weights lie in,
    `cost` is what loading took, and `returned` the share of it that closing gave back. `plans` is what `PLANS` plans of
    its last layers take, and `counted` what the service takes them for.
    """
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            path = Path(folder) / f"{name.lower()}.keras"
            _in_another_process("save", name, str(path))
            rows[name] = _in_another_process("model", str(path))
            path.unlink()
    return {"models": rows, "cycles": _in_another_process("cycles")}


def _in_another_process(*arguments: str) -> Any:
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def _save(name: str, path: str) -> None:
    import keras

    getattr(keras.applications, name)(weights=None).save(path)


def _model(path: str) -> dict[str, float]:
    before = _settled(Path(path))
    model = _load(Path(path))
    weights = model.description.memory_bytes / 2**20
    loaded = _resident()
    model.close()
    del model
    closed = _resident()
    model = _load(Path(path))
    _run(model)
    ran = _resident()
    counted = model.executable.plans.nbytes
    for tap in model.description.taps.outputs()[-PLANS - 1 : -1]:
        model.executable.plans.compile([tap])
    planned = _resident()
    counted = model.executable.plans.nbytes - counted
    model.close()
    del model
    cost = loaded["VmRSS"] - before["VmRSS"]
    row = {
        "weights": weights,
        "before": before["VmRSS"],
        "loaded": loaded["VmRSS"],
        "shared": loaded["RssShmem"],
        "closed": closed["VmRSS"],
        "ran": ran["VmRSS"],
        "plans": planned["VmRSS"] - ran["VmRSS"],
        "counted": counted / 2**20,
        "closed_again": _resident()["VmRSS"],
        "cost": cost,
        "returned": (loaded["VmRSS"] - closed["VmRSS"]) / cost,
    }
    return {key: round(value, 2) for key, value in row.items()}


def _cycles(path: str | None = None) -> dict[str, float]:
    """Resident memory after the first few cycles, when everything is compiled, and after the last."""
    from layerscope import demo
    from layerscope.graph.loading.loader import SHARED_LOADER

    file = Path(path) if path else demo.MODELS / "digits" / "1" / "model.keras"
    _settled(file)
    closed = []
    with SHARED_LOADER:
        for _ in range(CYCLES):
            model = _load(file)
            _run(model)
            model.close()
            del model
            closed.append(_resident()["VmRSS"])
    settled, last = closed[SETTLED - 1], closed[-1]
    return {"cycles": CYCLES, "settled": settled, "last": last, "growth": round(last - settled, 2)}


def _load(path: Path) -> Any:
    from layerscope.graph.loading.loader import SHARED_LOADER
    from layerscope.graph.model import assemble
    from layerscope.models.directory import ModelSource

    source = ModelSource(path.stem, 1, path, path.parent)
    return assemble(source, SHARED_LOADER.load(source), plan_bytes=2**28)


def _run(model: Any) -> None:
    import numpy as np

    blank = [np.zeros((1, *each.shape), each.dtype) for each in model.description.inputs]
    model.executable.run(blank, [tap for _, tap in model.description.outputs])


def _settled(path: Path) -> dict[str, float]:
    """Memory of a process that has loaded the model before."""
    _load(path).close()
    return _resident()


def _resident() -> dict[str, float]:
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {
        name.rstrip(":"): int(value[0]) / 1024 for name, *value in lines if name in {"VmRSS:", "RssShmem:"}
    }


if __name__ == "__main__":
    parts = {"save": _save, "model": _model, "cycles": _cycles, "all": measure}
    part, *arguments = sys.argv[1:] or ["all"]
    print(json.dumps(parts[part](*arguments), indent=2))
