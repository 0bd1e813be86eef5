"""Jobs whose processes are killed: nothing is lost, nothing is there twice, and no process is left."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from extraction_content import begin_command, content, write_many_digits

from killed_steps import run_script
from layerscope import demo
from layerscope.errors import JobDiffers
from layerscope.extraction.output import Output
from layerscope.extraction.places import place_at
from layerscope.extraction.runners.here import Here
from layerscope.extraction.runners.processes import Processes
from layerscope.extraction.running import run
from process_tree import are_gone, descendants
from waiting import wait_for

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists children"),
    pytest.mark.wide,
]

STEPS = """
import shutil, sys
from pathlib import Path
import numpy as np
from killed_steps import killed_at_every_step
from layerscope.extraction.formats import Part, writer_of
from layerscope.extraction.job import Failure
from layerscope.extraction.output import Output
from layerscope.extraction.places import place_at

before = Path(sys.argv[1])

def write(folder):
    output = Output(str(folder))
    names, job = ["a.png", "b.png"], output.job
    values = {each.address: np.ones((2, *each.shape), each.dtype) for each in job.columns}
    with output.writing(1, [Failure("c.png", "input_changed", "c.png has changed.")]) as path:
        writer_of(job.format)(path, Part(job, 1, output.part(1), [0, 1], names, ["0", "1"], values))

for folder in killed_at_every_step(before, "step", write):
    # Whoever comes next does it again, over what was left.
    again = folder.with_name(folder.name.replace("step", "again"))
    shutil.copytree(folder, again)
    Output(str(again)).sweep()
    write(again)
"""

WRITER = """
import sys
from layerscope.extraction.places import place_at

with place_at(sys.argv[1], "to").writing("part") as path:
    path.write_bytes(b"half")
    print(flush=True)
    sys.stdin.read()
"""

DEADLY = """
import os, signal, sys

def watch(event, args):
    if event == "open" and str(args[0]).endswith("deadly.png"):
        os.kill(os.getpid(), signal.SIGKILL)

if "layerscope.extraction.runners.worker" in sys.orig_argv:
    sys.addaudithook(watch)
    with open(os.environ["STARTS"], "a") as starts:
        starts.write("x")
"""


@pytest.mark.parametrize("form", ["safetensors", "npy", pytest.param("zarr", marks=pytest.mark.soak)])
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
        # What failed, and maps, go first: without a part, they mean nothing.
        assert visible.items() <= whole.items()
        new = visible.keys() - nothing.keys()
        assert is_there == (visible == whole)
        assert is_there or all(name.startswith(("failed/", "maps.zarr/")) for name in new)
        assert content(folder.with_name(folder.name.replace("step", "again"))) == whole


def test_what_a_killed_process_left_is_deleted_whoever_has_its_number(tmp_path):
    folder = place_at(str(tmp_path), "to")
    command, pipe = [sys.executable, "-c", WRITER, tmp_path], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as writer:
        writer.stdout.readline()
        folder.sweep()
        (left,) = tmp_path.iterdir()
        assert left.read_bytes() == b"half"
        taken = left.with_name(re.sub(rf"~{writer.pid}\b", f"~{os.getpid()}", left.name))
        taken.write_bytes(b"half")
        writer.kill()
        # Nobody has waited for it yet: its number is still its own.
        wait_for(lambda: are_gone([writer.pid]))
        folder.sweep()
        assert not list(tmp_path.iterdir())


@pytest.fixture
def whole(plan, here, digits):
    """The result of the same job without any interruption."""
    output = plan(digits, "whole")
    run(output, here)
    return content(output.address)


def children():
    """The worker processes of this process."""
    return {
        pid for pid, command in descendants(os.getpid()).items() if "extraction.runners.worker" in command
    }


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
    monkeypatch.setenv("STARTS", str(tmp_path / "starts"))
    found = run(output, Processes(1, prepared))
    assert (found.done, found.failed) == (10, 1)
    # Three deaths of the shard, two of the image, and the process that does the rest of all.
    assert (tmp_path / "starts").read_text("utf-8") == "x" * 6
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


@pytest.mark.soak
def test_the_command_that_is_killed_leaves_no_process_and_goes_on(digits, whole, tmp_path):
    out, cache = tmp_path / "out", tmp_path / "cache"
    with begin_command(digits, out, "--on", "processes:1", cache=cache) as first:
        for line in first.stdout:
            if json.loads(line)["progress"]["parts"]:
                break
        workers = list(descendants(first.pid))
        first.kill()
    assert workers
    wait_for(lambda: are_gone(workers))
    with begin_command(digits, out, cache=cache) as second:
        said, wrong = second.communicate(timeout=120)
    assert second.returncode == 0, wrong
    assert json.loads(said.splitlines()[-1]) == {"result": {"done": 10, "failed": 0, "total": 10, "parts": 3}}
    assert content(out) == whole


@pytest.mark.soak
@pytest.mark.parametrize("quarter", range(4))
def test_killed_at_50_moments_it_ends_with_the_same_bytes(plan, prepared, tmp_path, quarter):
    """Half of the commands do it here, half in two processes; most are killed while they compute, some while they begin."""
    data = write_many_digits(tmp_path / "many", 2000)
    output = plan(data, "whole")
    run(output, Here(prepared))
    whole = content(output.address)
    out = tmp_path / "out"
    rng = np.random.default_rng(quarter)
    completed = 0
    for number in range(50):
        on = ("here", "processes:2")[number % 2]
        with begin_command(data, out, "--on", on, cache=tmp_path / "cache") as process:
            for _ in range(rng.integers(0, 40)):
                process.stdout.readline()
            time.sleep(rng.uniform(0, 0.2))
            started = list(descendants(process.pid))
            process.kill()
        wait_for(lambda started=started: are_gone(started))
        if (out / "job.json").exists() and Output(str(out)).status().is_complete:
            completed += 1
            Output(str(out)).sweep()
            assert content(out) == whole
            shutil.rmtree(out)
    run(plan(data), Here(prepared))
    assert content(out) == whole
    assert completed
