"""Running a job: what is left of it is done, by whichever runner, and counted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Protocol

from layerscope.errors import TooManyFailed
from layerscope.extraction.job import Receipt
from layerscope.extraction.output import Output, Status


class Runner(Protocol):
    """Does shards somewhere."""

    def map(self, output: Output, shards: Sequence[int]) -> Iterator[Receipt]:
        """Have each shard done at least once, in any order. Closing the iterator ends all that it has started."""


def run(
    output: Output,
    runner: Runner,
    *,
    share: tuple[int, int] = (0, 1),
    most_failed: float = 1.0,
    progress: Callable[[Status], None] = lambda _: None,
) -> Status:
    """Do what is left of a job.

    Args:
        output: of the job.
        runner: where it is done.
        share: k and n, to do the k-th of n shares of the shards, counted from 0.
        most_failed: the share of all images, from 0 to 1, that may fail.
        progress: is called at the beginning and after each shard.

    Returns:
        How far the job is.

    Raises:
        TooManyFailed: more images failed; what is done stays.
        LayerscopeError: the job cannot go on; what is done stays.
    """
    output.sweep()
    status = output.status()
    progress(status)
    with closing(runner.map(output, output.left(share))) as receipts:  # type: ignore[type-var]  # a generator
        for receipt in receipts:
            status = Status(
                status.images,
                status.done + receipt.images,
                status.failed + receipt.failed,
                status.parts + 1,
                status.shards,
            )
            progress(status)
            if status.failed > most_failed * status.images:
                raise TooManyFailed(
                    f"{status.failed:,} of {status.done + status.failed:,} images failed, more than {most_failed:.3g} of all:"
                    f" see {output.address}/failed.",
                    failed=status.failed,
                    images=status.images,
                )
    output.sweep()
    return output.status()
