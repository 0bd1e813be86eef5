"""State that the workers of a service share: commands about models over sockets; images and metrics in files."""

import logging
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

logger = logging.getLogger(__name__)

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
        self._has_failed = False

    def write(self) -> None:
        """Write the metrics of this worker as they are now. Where that fails, as on a full disk, the others miss them."""
        try:
            self._directory.mkdir(exist_ok=True)
            write_whole(self._path(str(self._worker)), self._text())
        except OSError as error:
            if not self._has_failed:
                logger.warning("the metrics of worker %d cannot be written: %s", self._worker, error.strerror)
            self._has_failed = True
        else:
            self._has_failed = False

    def collect(self) -> Iterable[Metric]:
        """The metrics of all workers."""
        texts = dict(self._written())
        texts[str(self._worker)] = self._text()
        found: dict[str, Metric] = {}
        for worker, text in sorted(texts.items()):
            for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
                merged = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                merged.samples += [
                    each._replace(labels={**each.labels, "worker": worker}) for each in family.samples
                ]
        return found.values()

    def _written(self) -> Iterator[tuple[str, str]]:
        """What each worker has written, by its number."""
        for path in self._directory.glob("samples-*.txt"):
            with suppress(OSError):
                yield path.stem.removeprefix("samples-"), path.read_text("utf-8")

    def _path(self, worker: str) -> Path:
        return self._directory / f"samples-{worker}.txt"

    def _text(self) -> str:
        text: bytes = generate_latest(self._metrics)  # type: ignore[no-untyped-call]
        return text.decode()
