"""Extractor: an engine in this process that does one shard after the other."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from layerscope.errors import (
    DeadlineExceeded,
    InputMismatch,
    JobDiffers,
    LayerscopeError,
    ModelRefused,
    Overloaded,
    RunFailed,
    Unavailable,
)
from layerscope.execution.inputs import ANY_INPUT, Source, TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.extraction.data_sets import Row, open_data_set
from layerscope.extraction.formats import Part, writer_of
from layerscope.extraction.job import Failure, Receipt
from layerscope.extraction.model_directory import model_directory
from layerscope.extraction.output import Output
from layerscope.graph.loading.prepared_files import PreparedFiles
from layerscope.graph.runtime.plans import Runtime
from layerscope.images import content_id
from layerscope.limits import Limits
from layerscope.models.control import Control

Array = np.ndarray[Any, np.dtype[Any]]
Began = Callable[[int | None], None]
"""Is called with the position of an image in its shard before anything is done with it, and with None after the last one."""

_THREADS = 2
"""While one image is decoded, or its values are made smaller, another is in the model."""

_HOURS = 24 * 3_600_000


@contextmanager
def engine_for(
    models: str | None,
    model: str,
    *,
    trusted: bool,
    prepared: PreparedFiles | None = None,
    limits: Limits | None = None,
    runtime: Runtime = "tensorflow",
) -> Iterator[LocalEngine]:
    """An engine with one model, which keeps no activations: each image is needed once.

    Args:
        models: the directory or source, see `model_directory`.
        model: `name`, `name@version` or `name@label`.
        trusted: whether SavedModels may be opened.
        prepared: where opened models are kept.
        limits: the bounds in force; None for the defaults. A job takes as long as it takes.
        runtime: what runs the model.

    Raises:
        LayerscopeError: the model is not there, or cannot be opened.
    """
    limits = replace(
        limits or Limits(), activation_cache_bytes=1, short_milliseconds=_HOURS, deadline_milliseconds=_HOURS
    )
    with ExitStack() as stack:
        engine = LocalEngine(
            stack.enter_context(model_directory(models, prepared, limits)),
            limits,
            prepared_files=prepared,
            trusted=trusted,
            # What makes plans faster is TensorFlow's, and checked when a model is loaded.
            graph_rewrites=runtime == "tensorflow",
            runtime=runtime,
            control=Control(mode="explicit"),
        )
        stack.enter_context(closing(engine))
        engine.load_all()
        engine.models.load(model)
        yield engine


class Extractor:
    """Does shards of a job while the context is entered.

    Args:
        output: of the job.
        prepared: where opened models are kept.
        engine: that has the job's model; None for one of its own.

    Raises:
        JobDiffers: the model is another than the job's.
    """

    def __init__(
        self, output: Output, prepared: PreparedFiles | None = None, engine: LocalEngine | None = None
    ) -> None:
        self._output = output
        self._given = engine
        self._prepared = prepared
        self._job = output.job
        self._write = writer_of(output.job.format)
        self._manifest = output.manifest()
        self._data_set = open_data_set(
            output.job.data, within=None if output.job.within is None else Path(output.job.within)
        )
        self._holding = ExitStack()

    def __enter__(self) -> "Extractor":
        job = self._job
        with ExitStack() as stack:
            self._engine = self._given or stack.enter_context(
                engine_for(
                    job.models,
                    job.model,
                    trusted=job.trusted,
                    prepared=self._prepared,
                    runtime=job.runtime,
                )
            )
            digest = self._engine.describe(job.model).digest
            if digest != job.digest:
                raise JobDiffers(
                    f"{job.model} is another model than when the job began: put that back, or choose another folder.",
                    model=job.model,
                )
            self._threads = stack.enter_context(ThreadPoolExecutor(_THREADS, "layerscope-extract"))
            self._holding = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._holding.close()

    def do(self, shard: int, *, skipped: Collection[int] = (), began: Began | None = None) -> Receipt:
        """Do a shard: what fails of it is listed, the rest is its part.

        Args:
            shard: its number.
            skipped: positions of images that ended a process before, and are listed as failed.
            began: if given, one image is done after the other, and is told of before.

        Raises:
            StorageFull: there is no room for the part.
        """
        start = time.monotonic()
        rows = self._manifest.rows(shard)

        def one(position: int) -> tuple[str, list[Array]] | Failure:
            row = rows[position]
            if position in skipped:
                return _failure(
                    row, RunFailed("The process that ran the model with this image did not survive it.")
                )
            if began is not None:
                began(position)
            try:
                return self._values(row)
            except (Unavailable, Overloaded, DeadlineExceeded, ModelRefused):
                # It says nothing of the image: the job ends, and goes on later.
                raise
            except LayerscopeError as error:
                return _failure(row, error)

        mapped = map if began is not None else self._threads.map
        found = list(mapped(one, range(len(rows))))
        if began is not None:
            began(None)
        failures = [each for each in found if isinstance(each, Failure)]
        good = {place: each for place, each in enumerate(found) if not isinstance(each, Failure)}
        part = self._part(shard, [rows[place].path for place in good], good)
        with self._output.writing(shard, failures) as path:
            self._write(path, part)
        return Receipt(shard, len(good), len(failures), time.monotonic() - start)

    def _values(self, row: Row) -> tuple[str, list[Array]]:
        """The name of an image's content, and the values of its columns."""
        source = self._data_set.read(row, self._engine.limits.body_bytes)
        columns = self._job.columns
        query = query_of(self._job.model, [each.address for each in columns], source)
        with self._engine.prepare(query) as prepared, prepared.run() as result:
            reduced = result.activations.reduced(self._job.options)
            values = [reduced[each.address].values[0] for each in columns]
            for column, each in zip(columns, values, strict=True):
                if each.shape != column.shape:
                    raise InputMismatch(
                        f"{column.address} has shape {list(each.shape)} for this image and {list(column.shape)} for the first:"
                        " use reduce=mean, or images of one size.",
                        layer=column.address,
                    )
            return digest_of(source), [np.array(each) for each in values]

    def _part(self, shard: int, paths: Sequence[str], found: Mapping[int, tuple[str, list[Array]]]) -> Part:
        stacked = {}
        for index, column in enumerate(self._job.columns):
            values = np.empty((len(found), *column.shape), column.dtype)
            for place, (_, each) in enumerate(found.values()):
                values[place] = each[index]
            stacked[column.address] = values
        images = [image for image, _ in found.values()]
        return Part(self._job, shard, self._output.part(shard), list(found), paths, images, stacked)


def query_of(model: str, layers: Sequence[str], source: Source) -> Query:
    """The query for one image."""
    return Query(model=model, sources={ANY_INPUT: [source]}, layers=layers)


def digest_of(source: Source) -> str:
    """The SHA-256 of an image's content, as hexadecimal digits."""
    if isinstance(source, TensorSource):
        found = content_id(np.ascontiguousarray(source.values).data)
    else:
        found = source.id
    return found.removeprefix("sha256-")


def _failure(row: Row, error: LayerscopeError) -> Failure:
    return Failure(row.path, error.code, error.message)
