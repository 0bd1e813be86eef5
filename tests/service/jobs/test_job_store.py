"""The folder of jobs: what is kept of them, how many may wait, and whose turn it is."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from layerscope.errors import ControlRefused, JobDiffers, JobNotFound, QueueFull, QuotaExceeded
from layerscope.jobs.record import JobRecord, JobRequest
from layerscope.jobs.scheduler import next_job
from layerscope.jobs.store import JobStore
from layerscope.limits import Limits
from layerscope.tensors.options import TensorOptions


def asked(number: int, **changed: Any) -> JobRequest:
    """A job that writes to a place of its own."""
    given: dict[str, Any] = {
        "model": "digits@1",
        "digest": "sha256-0",
        "layers": ("dense",),
        "options": TensorOptions(reduce="mean"),
        "data": "photos:",
        "to": f"features:{number}",
        "format": "safetensors",
        "part_images": None,
    }
    return JobRequest(**given | changed)


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "jobs", Limits(waiting_jobs=4, kept_jobs=5))


def end(store: JobStore, job: str) -> None:
    store.change(job, "waiting", "running")
    store.change(job, "running", "done")


def test_the_same_request_is_the_same_job_and_another_is_another(store: JobStore) -> None:
    job = store.add(asked(1))
    assert store.add(asked(1)) == job
    assert JobStore(store.folder, Limits()).get(job.id) == job
    others = [
        asked(1, digest="sha256-1"),
        asked(1, options=TensorOptions()),
        asked(1, layers=("conv1",)),
        asked(2),
    ]
    assert len({job.id, *(each.id for each in others)}) == 5


def test_a_job_is_asked_for_again_when_it_has_ended(store: JobStore) -> None:
    job = store.add(asked(1))
    store.progress_file(job.id).write_text(json.dumps({"job": "x", "status": [1, 1, 0, 1, 1]}), "utf-8")
    end(store, job.id)
    again = store.add(asked(1), retry=True)
    assert (again.id, again.state, again.retry) == (job.id, "waiting", True)
    # Its images are listed anew, so that nothing is known of it.
    assert store.progress(job.id) is None
    assert store.stop(job.id).state == "stopped"
    assert store.stop(job.id).state == "stopped"
    assert store.change(job.id, "running", "done") is None


def test_two_jobs_do_not_write_to_one_place_at_the_same_time(store: JobStore) -> None:
    job = store.add(asked(1))
    with pytest.raises(JobDiffers) as raised:
        store.add(asked(1, layers=("conv1",)))
    assert raised.value.details == {"job": job.id}
    end(store, job.id)
    store.add(asked(1, layers=("conv1",)))


def test_so_many_jobs_wait_and_one_key_has_half_of_them(store: JobStore) -> None:
    for number in range(2):
        store.add(asked(number), owner="a")
    with pytest.raises(QuotaExceeded):
        store.add(asked(2), owner="a")
    for number in range(2, 4):
        store.add(asked(number), owner="b")
    with pytest.raises(QueueFull):
        store.add(asked(4), owner="c")


def test_the_jobs_that_ended_first_are_forgotten_and_no_others(store: JobStore) -> None:
    jobs = []
    for number in range(5):
        jobs.append(store.add(asked(number)).id)
        store.progress_file(jobs[-1]).write_text("{}", "utf-8")
        if number != 1:
            end(store, jobs[-1])
    store.add(asked(5))
    assert {each.id for each in store.records()} == {*jobs[1:], asked(5).id}
    assert not store.progress_file(jobs[0]).exists()
    with pytest.raises(JobNotFound):
        store.get(jobs[0])


@pytest.mark.parametrize("job", ["", "..", "../jobs/x", "a.json", "é", "0" * 100])
def test_what_is_no_id_is_no_job(store: JobStore, job: str) -> None:
    with pytest.raises(JobNotFound):
        store.get(job)


def test_a_damaged_record_is_not_listed(store: JobStore) -> None:
    job = store.add(asked(1))
    (store.folder / f"{asked(2).id}.json").write_text('{"state": "running"', "utf-8")
    assert store.records() == [job]
    with pytest.raises(JobNotFound):
        store.get(asked(2).id)


def test_keys_take_turns(store: JobStore) -> None:
    def record(number: int, owner: str, **changed: Any) -> JobRecord:
        made = JobRecord(
            request=asked(number),
            max_failed=100,
            retry=False,
            owner=owner,
            asked=float(number),
            state="waiting",
        )
        return replace(made, **changed)

    ended = record(0, "a", state="done", started=10.0)
    waiting = [record(1, "a"), record(2, "a"), record(3, "b"), record(4, "c")]
    order = []
    records = {each.id: each for each in [ended, *waiting]}
    while (following := next_job(records)) is not None:
        order.append(following.request.to.removeprefix("features:"))
        records[following.id] = replace(following, state="done", started=10.0 + len(order))
    assert order == ["3", "4", "1", "2"]
    running = record(5, "b", state="running", started=0.0)
    assert next_job({each.id: each for each in [running, record(6, "b"), record(7, "a")]}) == record(7, "a")
    assert next_job({running.id: running}) is None


def test_one_of_those_that_share_a_folder_runs_its_jobs(store: JobStore) -> None:
    other = JobStore(store.folder, Limits())
    with store.locked() as ours, other.locked() as theirs:
        assert (ours, theirs) == (True, False)
    with other.locked() as theirs:
        assert theirs


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ControlRefused, match="folder of jobs"):
        JobStore(tmp_path / "jobs", Limits())
