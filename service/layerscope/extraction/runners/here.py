"""The runner that does all in this process."""

from collections.abc import Iterator, Sequence

from layerscope.execution.local_engine import LocalEngine
from layerscope.extraction.extractor import Extractor
from layerscope.extraction.job import Receipt
from layerscope.extraction.output import Output
from layerscope.graph.loading.prepared_files import PreparedFiles


class Here:
    """One shard after the other. An image that ends the process ends the job.

    Args:
        prepared: where opened models are kept.
        engine: that has the job's model; None for one of its own.
    """

    def __init__(self, prepared: PreparedFiles | None = None, engine: LocalEngine | None = None) -> None:
        self._prepared = prepared
        self._engine = engine

    def map(self, output: Output, shards: Sequence[int]) -> Iterator[Receipt]:
        """Do the shards, in their order."""
        if not shards:
            return
        with Extractor(output, self._prepared, self._engine) as extractor:
            for shard in shards:
                yield extractor.do(shard)
