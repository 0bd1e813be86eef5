"""Scheduler: has the jobs of a store done, as many at once as may run. Of all processes that share the store, one does so."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Self

from layerscope.errors import LayerscopeError
from layerscope.jobs.process import JobProcess, Setup
from layerscope.jobs.record import JobError, JobRecord
from layerscope.jobs.store import JobStore

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
_TROUBLE_SECONDS = 5.0


class JobScheduler(AbstractContextManager["JobScheduler"]):
    """Runs jobs while the context is entered. Those that run at its end go on when the next scheduler begins.

    Args:
        store: the jobs.
        setup: makes what a process is told from a record; with the id of the planned job, to go on with that.
        most: how many jobs run at once.
    """

    def __init__(self, store: JobStore, setup: Callable[[JobRecord, str | None], Setup], most: int) -> None:
        self._store = store
        self._setup = setup
        self._most = most
        self._ended = threading.Event()
        # The system ends a process with the thread that started it: all are started by this one.
        self._thread = threading.Thread(target=self._run, name="layerscope-jobs", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            with self._told(), self._store.locked() as is_ours:
                if is_ours:
                    self._schedule()

    def _schedule(self) -> None:
        processes: dict[str, JobProcess] = {}
        try:
            while not self._ended.wait(_LOOK_SECONDS):
                with self._told():
                    self._look(processes)
        finally:
            for each in processes.values():
                each.end()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what is wrong with the folder of jobs, and wait for somebody to put it right."""
        try:
            yield
        except (OSError, LayerscopeError) as error:
            logger.warning("the folder of jobs cannot be used: %s", error)
            self._ended.wait(_TROUBLE_SECONDS)

    def _look(self, processes: dict[str, JobProcess]) -> None:
        """Take note of the processes that have ended, end those of jobs that were stopped, and start others."""
        records = {each.id: each for each in self._store.records()}
        for job, process in list(processes.items()):
            outcome = process.outcome()
            is_wanted = job in records and records[job].state == "running"
            if outcome is None and is_wanted:
                continue
            process.end()
            del processes[job]
            if outcome is not None and outcome.has_died and is_wanted and not process.setup.isolated:
                # An image may have ended it. Which one, is found by running the model in yet another process.
                self._start(records[job], processes, isolated=True)
                continue
            records.pop(job, None)
            if outcome is not None:
                self._store.change(job, "running", "failed" if outcome.error else "done", outcome.error)
        for record in records.values():
            # It ran when the scheduler before this one ended.
            if record.state == "running" and record.id not in processes:
                self._start(record, processes)
        while len(processes) < self._most and (following := next_job(records)) is not None:
            del records[following.id]
            started = self._store.change(following.id, "waiting", "running")
            if started is not None:
                records[started.id] = started
                self._start(started, processes)

    def _start(self, record: JobRecord, processes: dict[str, JobProcess], *, isolated: bool = False) -> None:
        known = self._store.progress(record.id)
        try:
            setup = self._setup(record, None if known is None else known.job)
            processes[record.id] = JobProcess(replace(setup, isolated=isolated))
        except LayerscopeError as error:
            self._store.change(record.id, "running", "failed", JobError.of(error))


def next_job(records: dict[str, JobRecord]) -> JobRecord | None:
    """The job that runs next: keys take turns, and each has its jobs done in the order in which it asked for them."""
    running = Counter(each.owner for each in records.values() if each.state == "running")
    last: dict[str | None, float] = {}
    for each in records.values():
        last[each.owner] = max(last.get(each.owner, 0.0), each.started or 0.0)
    waiting = [each for each in records.values() if each.state == "waiting"]
    return min(waiting, key=lambda each: (running[each.owner], last[each.owner], each.asked), default=None)
