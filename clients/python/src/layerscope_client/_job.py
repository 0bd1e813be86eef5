"""A job: layers of every image of a data set, which the service writes to files."""

import time
from collections.abc import Iterator
from typing import Any

from layerscope_client import _job_calls as calls
from layerscope_client._error_mapping import unreadable
from layerscope_client._job_results import (
    FailedImage,
    JobDescription,
    JobProgress,
    JobState,
    Row,
    part_rows,
    table_of,
)
from layerscope_client._transport import Transport
from layerscope_client.errors import ConnectionFailed, Draining


class DescribedJob:
    """What is known of a job.

    Attributes:
        description: The job as the service described it last.
    """

    def __init__(self, description: JobDescription) -> None:
        self.description = description

    def __repr__(self) -> str:
        progress = self.progress
        counts = f"{progress['done']:,} of {progress['total']:,} images, {progress['failed']:,} failed"
        return f"<Job {self.id[:8]} {self.state}: {counts}>"

    @property
    def id(self) -> str:
        """The id: the same request is the same job."""
        return self.description["id"]

    @property
    def state(self) -> JobState:
        """Its state when it was described last."""
        return self.description["state"]

    @property
    def progress(self) -> JobProgress:
        """How far it was when it was described last."""
        return self.description["progress"]

    @property
    def to(self) -> str:
        """The place of the result, as `extract` was given it."""
        return self.description["to"]


class Job(DescribedJob):
    """A job on the service. It goes on whoever follows it, and whether anybody does.

    Attributes:
        description: The job as the service described it last.
    """

    def __init__(self, description: JobDescription, transport: Transport) -> None:
        super().__init__(description)
        self._transport = transport

    def refresh(self) -> "Job":
        """Ask the service how the job is now."""
        self.description = self._transport.run(calls.described(self.id))
        return self

    def stop(self) -> "Job":
        """Stop the job. What it has done stays, and `extract` with the same arguments goes on with it."""
        self.description = self._transport.run(calls.stop(self.id))
        return self

    def follow(self) -> Iterator[JobProgress]:
        """Iterate over the progress of the job until its end, also over a restart of the service.

        Raises:
            LayerscopeError: The job failed, with the class for its code.
        """
        pauses = iter(calls.PAUSES)
        while True:
            try:
                with self._transport.lines(calls.followed(self.id)) as (response, lines):
                    for line in lines:
                        pauses = iter(calls.PAUSES)
                        self.description["progress"], ended = calls.event(line, response)
                        if ended is not None:
                            self.description = ended
                            return
                        yield self.progress
                    raise unreadable("its stream ends without a result")
            except (ConnectionFailed, Draining):
                # A service that is started again goes on with its jobs.
                seconds = next(pauses, None)
                if seconds is None:
                    raise
                time.sleep(seconds)

    def wait(self, *, bar: bool | None = None) -> "Job":
        """Wait for the end of the job.

        Args:
            bar: Whether to draw a bar; by default at a terminal.

        Raises:
            LayerscopeError: The job failed, with the class for its code.
        """
        with calls.drawn(bar) as draw:
            for progress in self.follow():
                draw(progress)
            draw(self.progress)
        return self

    def failed(self) -> list[FailedImage]:
        """List the images that are not in the result, with a code and a sentence each."""
        return self._transport.run(calls.failed(self.id))

    def rows(self) -> Iterator[Row]:
        """Iterate over the images of a result that is whole, one part at a time in memory.

        Each row is a dictionary: "path", "image" (the SHA-256 of its content), and the array of each layer by its address.

        Raises:
            ValueError: The job is not done, or its format is "npy" or "zarr".
            ImportError: The format is "parquet", and pyarrow is not installed.
        """
        for part in calls.readable_parts(self.description):
            content = self._transport.run(calls.part(self.id, part))
            yield from part_rows(self.description["format"], content)

    def dataframe(self) -> Any:
        """Return the result as a pandas.DataFrame: a row an image, and columns as in `rows`, with a list for each layer.

        Raises:
            ValueError, ImportError: See `rows`; pandas is needed, too.
        """
        return table_of(list(self.rows()))
