"""The runner that does shards in processes of this machine."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from queue import SimpleQueue

from layerscope.extraction.job import Receipt
from layerscope.extraction.output import Output
from layerscope.extraction.runners.isolated import IsolatedExtractor
from layerscope.extraction.runners.messages import setup
from layerscope.graph.loading.prepared_files import PreparedFiles


class Processes:
    """Worker processes on this machine, each with a thread that waits for it.

    Args:
        count: how many.
        prepared: where opened models are kept.
    """

    def __init__(self, count: int, prepared: PreparedFiles | None = None) -> None:
        self._count = count
        self._prepared = prepared

    def map(self, output: Output, shards: Sequence[int]) -> Iterator[Receipt]:
        """Do the shards. They end in any order."""
        idle: SimpleQueue[IsolatedExtractor] = SimpleQueue()

        def do(shard: int) -> Receipt:
            extractor = idle.get()
            try:
                return extractor.do(shard)
            finally:
                idle.put(extractor)

        with ExitStack() as stack:
            threads = ThreadPoolExecutor(self._count, "layerscope-extract")
            stack.callback(threads.shutdown)
            for _ in range(self._count):
                extractor = IsolatedExtractor(setup(output.address, self._prepared))
                stack.callback(extractor.close)
                idle.put(extractor)
            stack.callback(threads.shutdown, wait=False, cancel_futures=True)
            for done in as_completed([threads.submit(do, shard) for shard in shards]):
                yield done.result()
