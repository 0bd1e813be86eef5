"""A minute of hostile requests, all kinds at once, on a service within 4 GiB of memory, beside ordinary requests.

Each kind of hostile callers has a key of its own, and so have the ordinary ones. The hostile ones send JSON of millions of parts, small files of 40
megapixels, unfinished bodies, requests for answers that they do not read, models that are large or slow inside, and tensors
of impossible sizes, each again as soon as it is answered. Two ordinary callers ask for a middle layer of MobileNetV2 five times a
second each, with new images, and a probe is sent ten times a second. All processes share the processors of one machine; the
hostile ones yield to the others.
"""

import json
import statistics
import tempfile
import threading
from pathlib import Path

from rig import hostile, steady
from rig.connection import activations_path
from rig.figures import Figure
from rig.memory_group import MemoryGroup, memory_group
from rig.models import MIDDLE
from rig.service import Service, serve

from layerscope_api.context.api_keys import KeyFile, KeyScope

_MIB = 1 << 20
GROUP_BYTES = 4096 * _MIB
LIMITS = {
    "working_bytes": 1024 * _MIB,
    "run_bytes": 768 * _MIB,
    "received_bytes": 256 * _MIB,
    "activation_cache_bytes": 64 * _MIB,
    "image_store_bytes": 64 * _MIB,
    "plan_bytes": 64 * _MIB,
}
"""How the service is told of its 4 GiB: everything at once, the models and TensorFlow's own memory included, has to fit."""

SECONDS = 60.0
IDLE_SECONDS = 20.0


def measure() -> dict[str, Figure]:
    """Whether the service lives, how quickly it answers probes, and how quickly ordinary requests."""
    with tempfile.TemporaryDirectory() as folder, memory_group(GROUP_BYTES) as group:
        models, keys = Path(folder, "models"), Path(folder, "keys.json")
        hostile.write_models(models)
        bad, good = (
            [_key(keys, KeyScope.INFER, KeyScope.MODELS_WRITE) for _ in range(hostile.KINDS)],
            _key(keys, KeyScope.INFER),
        )
        settings = {"api_keys": str(keys), "allow_upload": "true", "control": "explicit", "load": '["*"]'}
        with serve(models, LIMITS, settings, within=group.within) as service:
            return _measured(service, group, bad, good)


def _measured(service: Service, group: MemoryGroup, bad: list[str], good: str) -> dict[str, Figure]:
    address = service.address.removeprefix("http://")
    path = activations_path(hostile.ORDINARY, layers=MIDDLE)
    steady.answers_of(steady.started(address, good, path, 5))
    idle = steady.answers_of(steady.started(address, good, path, IDLE_SECONDS))
    attack = hostile.started(address, bad, SECONDS)
    assert attack.stdin is not None and attack.stdout is not None  # noqa: S101, PT018 - asked for
    attack.stdout.readline()
    with _PeakOf(service) as peak:
        attack.stdin.write("go\n")
        attack.stdin.flush()
        loaded = steady.answers_of(steady.started(address, good, path, SECONDS))
        came = json.loads(attack.stdout.readline())
        attack.wait()
    afterwards = steady.answers_of(steady.started(address, good, path, 10))
    return {
        "lives": _lives(service, group, peak, came, afterwards),
        "probes": _probes(loaded),
        "ordinary": _ordinary(idle, loaded),
        "answered": _answered(loaded),
    }


def _lives(
    service: Service,
    group: MemoryGroup,
    peak: "_PeakOf",
    came: dict[str, dict[str, int]],
    afterwards: steady.Answers,
) -> Figure:
    killed = group.killed()
    has_ended = not Path(f"/proc/{service.process}").exists()
    return Figure(
        what="processes of the service that were killed or ended",
        against="a memory cgroup of 4 GiB" if killed is not None else "no bound: no cgroup can be made here",
        value=(killed or 0) + has_ended,
        unit="processes",
        most=0,
        details={
            "resident_mib": peak.bytes / _MIB,
            "group_mib": (group.peak_bytes() or 0) / _MIB,
            "hostile_answers": came,
            "afterwards_200": len(afterwards.ordinary.get("200", [])),
            "afterwards_p99_ms": _p99(afterwards) * 1000,
        },
    )


def _probes(loaded: steady.Answers) -> Figure:
    seconds = [each for times in loaded.probes.values() for each in times]
    return Figure(
        what="the slowest of all probes meanwhile",
        against="250 ms",
        value=max(seconds) * 1000,
        unit="ms",
        most=250,
        details={
            "median_ms": statistics.median(seconds) * 1000,
            "p99_ms": _quantile(seconds) * 1000,
            "statuses": {status: len(times) for status, times in loaded.probes.items()},
        },
    )


def _ordinary(idle: steady.Answers, loaded: steady.Answers) -> Figure:
    return Figure(
        what="the 99th percentile of ordinary requests that were answered with 200 meanwhile",
        against="that of the same requests before, without hostile ones",
        value=_p99(loaded) / _p99(idle),
        unit="x the time",
        most=3,
        details={"before_ms": _p99(idle) * 1000, "meanwhile_ms": _p99(loaded) * 1000},
    )


def _answered(loaded: steady.Answers) -> Figure:
    count = {status: len(times) for status, times in loaded.ordinary.items()}
    return Figure(
        what="ordinary requests that were answered with 200 meanwhile",
        against="all of them",
        value=100 * count.get("200", 0) / sum(count.values()),
        unit="percent",
        least=100,
        details={"statuses": count},
    )


def _p99(answers: steady.Answers) -> float:
    """That of the requests that were answered; refusals are quick, and counted apart."""
    return _quantile(answers.ordinary["200"])


def _quantile(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.99 * (len(seconds) - 1))]


class _PeakOf:
    """The most resident memory of a service while the context is entered, read ten times a second."""

    def __init__(self, service: Service) -> None:
        self.bytes = 0
        self._service = service
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "_PeakOf":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self.bytes = max(self.bytes, self._service.memory())


def _key(keys: Path, *scopes: KeyScope) -> str:
    """A new key with these scopes."""
    return KeyFile(keys).create("benchmark", scopes)[1]
