"""Jobs of the service: the folder they are kept in, and what the process of a job is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from layerscope.extraction.catalog import data_set_named
from layerscope.extraction.planning import Request
from layerscope.jobs.process import Setup
from layerscope.jobs.record import JobRecord
from layerscope.jobs.scheduler import JobScheduler
from layerscope.jobs.store import JobStore
from layerscope_api.context.data_sets import catalog_of
from layerscope_api.context.kept_models import prepared_files
from layerscope_api.context.places import Places
from layerscope_api.context.settings import Settings


@contextmanager
def scheduled_jobs(settings: Settings, models: Callable[[], Path]) -> Iterator[JobStore | None]:
    """The jobs of the service, which are done while the context is entered; None if the settings name no folder for them.

    Args:
        settings: `jobs`, `places`, `datasets` and limits.
        models: tells the directory of models.
    """
    if settings.jobs is None:
        yield None
        return
    store = JobStore(settings.jobs, settings.limits)
    directory = models()
    places = Places(settings.places, settings.writable_places)
    catalog = catalog_of(settings)

    def setup(record: JobRecord, planned: str | None) -> Setup:
        asked = record.request
        data_set = data_set_named(asked.data, catalog)
        data = asked.data if data_set is None else data_set.record.data
        request = Request(
            models=directory,
            model=asked.model,
            digest=asked.digest,
            trusted=settings.trust_savedmodel,
            layers=asked.layers,
            options=asked.options,
            data=places.data(data),
            within=places.root(data),
            manifest=None if data_set is None else data_set.manifest,
            format=asked.format,
            shard_images=asked.part_images,
            runtime=asked.runtime,
        )
        return Setup(
            request=request,
            to=places.output(asked.to),
            planned=planned,
            retry=record.retry,
            max_failed=record.max_failed / 100,
            progress=store.progress_file(record.id),
            prepared=prepared_files(settings),
            limits=settings.limits,
        )

    with JobScheduler(store, setup, settings.limits.running_jobs):
        yield store
