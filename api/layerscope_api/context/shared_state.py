"""State that the workers of a service share: commands about models over sockets; images and metrics in files."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from layerscope.images import ImageStore
from layerscope.images.shared_store import SharedImageStore
from layerscope.limits import Limits
from layerscope.models.durable import write_whole
from layerscope_api.context.worker_sync import SupervisedSync
from layerscope_api.observability.metrics import Metrics

_SAMPLES_SECONDS = 1.0


@dataclass(frozen=True)
class SharedState:
    """What one worker shares with the others.

    Attributes:
        directory: where they share files.
        worker: its number, from 0 on; a replacement has the number of the worker it replaces.
        sync: how it agrees with the others about models.
    """

    directory: Path
    worker: int
    sync: SupervisedSync

    @property
    def is_late(self) -> bool:
        """Whether this worker answers only once it has loaded its models: others answer until then, or will."""
        return self.sync.is_late or not self.sync.is_leader

    def images(self, limits: Limits) -> ImageStore:
        """The stored images of all workers."""
        return SharedImageStore(self.directory / "images", limits)

    @contextmanager
    def samples(self, metrics: Metrics) -> Iterator["SharedSamples"]:
        """Publish the metrics of this worker every second, and read those of all."""
        samples = SharedSamples(metrics, self.directory, self.worker)
        ended = Event()

        def keep_writing() -> None:
            while not ended.wait(_SAMPLES_SECONDS):
                samples.write()

        samples.write()
        thread = Thread(target=keep_writing, name="layerscope-samples", daemon=True)
        thread.start()
        try:
            yield samples
        finally:
            ended.set()
            thread.join()


class SharedSamples:
    """The metrics of all workers, each sample with the label `worker`; those of the others are at most a second old.

    Args:
        metrics: the metrics of this worker.
        directory: where each worker writes its own.
        worker: the number of this worker.
    """

    def __init__(self, metrics: Metrics, directory: Path, worker: int) -> None:
        self._metrics = metrics
        self._directory = directory
        self._worker = worker

    def write(self) -> None:
        """Write the metrics of this worker as they are now."""
        path = self._directory / f"samples-{self._worker}.txt"
        write_whole(path, generate_latest(self._metrics).decode())  # type: ignore[no-untyped-call]

    def collect(self) -> Iterable[Metric]:
        """The metrics of all workers."""
        self.write()
        found: dict[str, Metric] = {}
        for path in sorted(self._directory.glob("samples-*.txt")):
            worker = path.stem.removeprefix("samples-")
            for family in _families(path):
                merged = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                merged.samples += [
                    each._replace(labels={**each.labels, "worker": worker}) for each in family.samples
                ]
        return found.values()


def _families(path: Path) -> Iterable[Metric]:
    with suppress(FileNotFoundError):
        return list(text_string_to_metric_families(path.read_text("utf-8")))  # type: ignore[no-untyped-call]
    return []
