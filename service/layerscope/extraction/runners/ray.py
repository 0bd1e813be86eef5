"""The runner that does shards on a Ray cluster, by the actor pool of Ray Data.

A row of its data set is the number of a shard, so that the pool, its growth and what is done again are Ray's, and receipts are all
that enters its object store. Each actor holds an isolated extractor.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypedDict

import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayError

from layerscope.errors import RunFailed, SourceUnreachable
from layerscope.extraction.job import Receipt
from layerscope.extraction.output import Output
from layerscope.extraction.runners.isolated import IsolatedExtractor, receipt_of
from layerscope.extraction.runners.messages import setup

if TYPE_CHECKING:
    from layerscope.graph.loading.prepared_files import PreparedFiles


class RayData:
    """Actors of a Ray cluster, as many as it has processors.

    Args:
        address: of the cluster, as `ray://HEAD:10001`; None for the one that RAY_ADDRESS names or that this machine belongs to.
        prepared: where opened models are kept, on each machine.
    """

    def __init__(self, address: str | None, prepared: "PreparedFiles | None" = None) -> None:
        self._address = address
        self._prepared = prepared

    def map(self, output: Output, shards: Sequence[int]) -> Iterator[Receipt]:
        """Do the shards. They end in any order."""
        if not shards:
            return
        first_line = setup(output.address, self._prepared)
        rows: list[_Row] = [{"shard": each, "setup": first_line} for each in shards]
        with _cluster(self._address):
            try:
                yield from map(receipt_of, _from_inside(rows) if _is_outside() else _answers(rows))
            except RayError as error:
                raise RunFailed(
                    f"Ray ended the job, which the same command goes on with: {type(error).__name__}."
                ) from error


class _Row(TypedDict):
    shard: int
    setup: bytes


class _Actor:
    """What each actor of the pool holds."""

    def __init__(self) -> None:
        self._extractor: IsolatedExtractor | None = None

    def __call__(self, row: _Row) -> dict[str, bytes]:
        self._extractor = self._extractor or IsolatedExtractor(row["setup"])
        return {"answer": self._extractor.answer(row["shard"])}


def _answers(rows: list[_Row]) -> Iterator[bytes]:
    """The answer for each row, as they come."""
    DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    data_set = ray.data.from_items(rows, override_num_blocks=len(rows))
    for row in data_set.map(_Actor, compute=ActorPoolStrategy(min_size=1), num_cpus=1).iter_rows():
        yield row["answer"]


def _is_outside() -> bool:
    """Whether this process is connected as `ray://` is, where Ray Data does not run."""
    return bool(ray.util.client.ray.is_connected())


def _from_inside(rows: list[_Row]) -> Iterator[bytes]:
    """The answer for each row, by Ray Data in an actor of the cluster."""
    driver = ray.remote(num_cpus=0)(_Driver).remote(rows)
    while (answer := ray.get(driver.next.remote())) is not None:
        yield answer


class _Driver:
    """What runs Ray Data for a process that is outside of the cluster."""

    def __init__(self, rows: list[_Row]) -> None:
        self._answers = _answers(rows)

    def next(self) -> bytes | None:
        """The next answer; None after the last one."""
        return next(self._answers, None)


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """A connection to a cluster.

    Raises:
        SourceUnreachable: there is no cluster.
    """
    if ray.is_initialized():
        # It is of whoever made it.
        yield
        return
    try:
        ray.init(address or "auto", logging_level=logging.WARNING, log_to_driver=False)
    except ConnectionError as error:
        found = f"at {address}" if address else "here: begin one with `ray start --head`, or use processes:N"
        raise SourceUnreachable(f"There is no Ray cluster {found}.") from error
    try:
        yield
    finally:
        ray.shutdown()
