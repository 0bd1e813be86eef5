"""Jobs whose processes are killed: nothing is lost, nothing is there twice, and no process is left."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from extraction_content import content

from killed_steps import run_script
from layerscope import demo
from layerscope.errors import JobDiffers
from layerscope.extraction.output import Output
from layerscope.extraction.runners import Here, Processes
from layerscope.extraction.running import run

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists children")

STEPS = """
import shutil, sys
from pathlib import Path
import numpy as np
from killed_steps import killed_at_every_step
from layerscope.extraction.formats import Part, writer_of
from layerscope.extraction.job import Failure
from layerscope.extraction.output import Output

before = Path(sys.argv[1])

def write(folder):
    output = Output(str(folder))
    names, job = ["a.png", "b.png"], output.job
    values = {each.address: np.ones((2, *each.shape), each.dtype) for each in job.columns}
    with output.writing(1, [Failure("c.png", "input_changed", "c.png has changed.")]) as path:
        writer_of(job.format)(path, Part(job, names, ["0", "1"], values))

for folder in killed_at_every_step(before, "step", write):
    # Whoever comes next does it again, over what was left.
    again = folder.with_name(folder.name.replace("step", "again"))
    shutil.copytree(folder, again)
    Output(str(again)).sweep()
    write(again)
"""

DEADLY = """
import os, signal, sys

def watch(event, args):
    if event == "open" and str(args[0]).endswith("deadly.png") and "worker" in "".join(sys.argv[:1]):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
"""


@pytest.mark.parametrize("form", ["safetensors", "npy"])
def test_a_part_is_whole_or_not_there_whenever_its_process_is_killed(plan, digits, form):
    before = Path(plan(digits, "before", format=form).address)
    run_script(STEPS, before)
    steps = sorted(before.parent.glob("step *"), key=lambda each: int(each.name.split()[1]))
    *killed, unharmed = steps
    assert len(killed) > 4
    whole, nothing = content(unharmed), content(before)
    for folder in killed:
        visible = {name: data for name, data in content(folder).items() if "/." not in name}
        is_there = any(name.startswith("parts/") for name in visible)
        # The list of what failed goes first: without a part, it means nothing.
        assert (
            visible == whole if is_there else visible.keys() - nothing.keys() <= {"failed/part-00001.jsonl"}
        )
        assert content(folder.with_name(folder.name.replace("step", "again"))) == whole


@pytest.fixture
def whole(plan, digits):
    """The result of the same job without any interruption."""
    output = plan(digits, "whole")
    run(output, Here())
    return content(output.address)


def children():
    """The worker processes of this process."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        for each in (task / "children").read_text().split():
            if b"extraction.runners.worker" in Path(f"/proc/{each}/cmdline").read_bytes():
                found.add(int(each))
    return found


def test_processes_give_the_same_bytes_although_workers_are_killed(plan, prepared, digits, whole):
    output = plan(digits)
    killed = set()

    def kill_one(_):
        if len(killed) < 2 and (alive := children() - killed):
            killed.add(min(alive))
            os.kill(min(alive), signal.SIGKILL)

    assert run(output, Processes(2, prepared), progress=kill_one).is_complete
    assert killed
    assert content(output.address) == whole
    assert not children()


@pytest.mark.soak
def test_the_image_that_ends_processes_is_listed(plan, prepared, digits, whole, tmp_path, monkeypatch):
    clean = Output(str(tmp_path / "whole"))
    (digits / "deadly.png").write_bytes(demo.samples()["one"].read_bytes())
    output = plan(digits)
    (tmp_path / "sitecustomize.py").write_text(DEADLY, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = run(output, Processes(2, prepared))
    assert (found.done, found.failed) == (10, 1)
    (failure,) = [each for shard in range(output.job.shards) for each in output.failures(shard)]
    assert (failure.path, failure.code) == ("deadly.png", "run_failed")
    assert rows_of(output) == rows_of(clean)


def rows_of(output):
    """Every row's values as bytes, by path."""
    from safetensors import safe_open

    found = {}
    for part in sorted((Path(output.address) / "parts").iterdir()):
        with safe_open(part, "np") as file:
            for place, path in enumerate(json.loads(file.metadata()["paths"])):
                found[path] = [file.get_tensor(name)[place].tobytes() for name in sorted(file.keys())]
    return found


def test_an_error_of_a_worker_ends_the_job_as_itself(plan, prepared, digits):
    output = plan(digits)
    path = Path(output.address) / "job.json"
    path.write_text(path.read_text("utf-8").replace(output.job.digest, "sha256-0"), "utf-8")
    with pytest.raises(JobDiffers, match="another model"):
        run(Output(output.address), Processes(1, prepared))
    assert not children()


def command(digits, to, *more, cache):
    asked = [
        "--data",
        str(digits),
        "--to",
        str(to),
        "--model",
        "digits",
        "--layers",
        "conv1",
        "--layers",
        "probabilities",
    ]
    surroundings = os.environ | {"LAYERSCOPE_KEEP_PREPARED": "true", "LAYERSCOPE_MODELS_CACHE": str(cache)}
    options = [*asked, "--reduce", "mean", "--part-images", "4", *more]
    run_job = [str(Path(sys.executable).with_name("layerscope")), "extract", "run", *options]
    return subprocess.Popen(
        run_job, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings
    )


@pytest.mark.soak
def test_the_command_that_is_killed_leaves_no_process_and_goes_on(digits, whole, tmp_path):
    with command(digits, tmp_path / "out", "--on", "processes:1", cache=tmp_path / "cache") as first:
        for line in first.stdout:
            if json.loads(line)["progress"]["parts"]:
                break
        workers = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
        first.kill()
    wait_for(lambda: not any(Path(f"/proc/{each}").exists() for each in workers))
    with command(digits, tmp_path / "out", cache=tmp_path / "cache") as second:
        said, wrong = second.communicate(timeout=120)
    assert second.returncode == 0, wrong
    assert json.loads(said.splitlines()[-1]) == {"result": {"done": 10, "failed": 0, "total": 10, "parts": 3}}
    assert content(tmp_path / "out") == whole


@pytest.mark.soak
def test_killed_at_any_moment_it_ends_with_the_same_bytes(digits, whole, tmp_path):
    rng = np.random.default_rng(0)
    for number in itertools.count():
        with command(digits, tmp_path / "out", "--on", "processes:2", cache=tmp_path / "cache") as process:
            time.sleep(rng.uniform(0, 20))
            process.kill()
        if number == 200:
            break
        if (tmp_path / "out" / "job.json").exists() and Output(str(tmp_path / "out")).status().is_complete:
            assert content(tmp_path / "out") == whole
            (tmp_path / "out").rename(tmp_path / f"out{number}")


def wait_for(met):
    last = time.monotonic() + 60
    while not met() and time.monotonic() < last:
        time.sleep(0.05)
    assert met()
