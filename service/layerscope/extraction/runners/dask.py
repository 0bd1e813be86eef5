"""The runner that does shards on a Dask cluster, by futures: each is the answer of an isolated extractor.

The function that it sends is found by its name in this module, and finds the extractor of its thread here. A function that Dask
sends by value has a module of its own for each task, so that the model would be loaded for each shard.
"""

import os
from collections.abc import Iterator, Sequence
from threading import Timer, local
from typing import TYPE_CHECKING

from distributed import Client, as_completed

from layerscope.errors import RunFailed, SourceUnreachable
from layerscope.extraction.job import Receipt
from layerscope.extraction.output import Output
from layerscope.extraction.runners.isolated import IsolatedExtractor, receipt_of
from layerscope.extraction.runners.messages import setup

if TYPE_CHECKING:
    from layerscope.graph.loading.prepared_files import PreparedFiles

_IDLE_SECONDS = 10
"""Workers of a cluster outlive the job. What they hold for it ends so long after its last shard."""


class Dask:
    """Workers of a Dask cluster.

    Args:
        address: of its scheduler, such as `tcp://HOST:8786`.
        prepared: where opened models are kept, on each machine.
    """

    def __init__(self, address: str, prepared: "PreparedFiles | None" = None) -> None:
        self._address = address
        self._prepared = prepared

    def map(self, output: Output, shards: Sequence[int]) -> Iterator[Receipt]:
        """Do the shards. They end in any order."""
        if not shards:
            return
        first_line = setup(output.address, self._prepared)
        with self._client() as client:
            futures = client.map(_answer, shards, setup=first_line, pure=False)
            for future in as_completed(futures, loop=client.loop):
                if future.status != "finished":
                    raise RunFailed(
                        f"Dask ended the job, which the same command goes on with: {future.exception()}"
                    )
                yield receipt_of(future.result())

    def _client(self) -> Client:
        try:
            return Client(self._address, set_as_default=False)
        except OSError as error:
            raise SourceUnreachable(f"There is no Dask scheduler at {self._address}.") from error


class _Held(local):
    """What a thread of a worker holds."""

    setup: bytes | None = None
    extractor: IsolatedExtractor
    ending: Timer


_held = _Held()


def _answer(shard: int, *, setup: bytes) -> bytes:
    """The answer of the extractor of this thread."""
    # Dask sets it for its workers. An extractor that gives back each freed array to the system takes 1.2 times the processor.
    os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)
    if _held.setup is not None:
        _held.ending.cancel()
    if _held.setup != setup:
        if _held.setup is not None:
            _held.extractor.close()
        _held.setup, _held.extractor = setup, IsolatedExtractor(setup)
    try:
        return _held.extractor.answer(shard)
    finally:
        _held.ending = Timer(_IDLE_SECONDS, _held.extractor.rest)
        _held.ending.daemon = True
        _held.ending.start()
