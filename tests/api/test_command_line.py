"""The command: what it lists and prints, and a service on a real socket."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import keras
import pytest
from requests_made import ACTIVATIONS, PNG, SEVEN
from typer.testing import CliRunner

from layerscope import __version__
from layerscope.demo import MODELS
from layerscope_api.cli.app import app
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

DEMO = MODELS / "digits" / "1" / "model.keras"
COMMAND = Path(sys.executable).with_name("layerscope")


def command(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "160"})
    return result.exit_code, result.stdout, result.stderr


def test_the_layers_of_a_file() -> None:
    code, out, said = command("layers", str(DEMO))

    assert code == 0
    assert len(out.splitlines()) == 9
    assert out.splitlines()[1] == "1\tconv1\tConv2D\t28x28x16\t416"
    assert "9 taps, 38,698 parameters" in said


def test_the_layers_of_a_file_as_json() -> None:
    code, out, _ = command("layers", str(DEMO), "--json", "--layers", "conv1")

    assert code == 0
    assert json.loads(out) == [
        {"index": 1, "address": "conv1", "type": "Conv2D", "shape": [28, 28, 16], "parameters": 416}
    ]


def test_a_terminal_gets_a_table_in_which_no_address_is_broken(tmp_path: Path) -> None:
    name = "_".join(["a_very_long_name_of_a_layer"] * 4)
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name=name)]).save(tmp_path / "long.keras")
    terminal, output = os.openpty()
    arguments = [COMMAND, "layers", str(tmp_path / "long.keras")]
    subprocess.run(arguments, stdout=output, env={**os.environ, "COLUMNS": "80"}, timeout=120, check=True)
    os.close(output)
    out = os.read(terminal, 65_536).decode()
    os.close(terminal)

    assert name in out
    assert "┃" in out


def test_the_help_cuts_no_word() -> None:
    result = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})

    assert "…" not in result.stdout
    assert "s3://bucket/models" in result.stdout
    assert "keras.applications:NAME" in result.stdout


def test_selected_layers_of_a_file() -> None:
    code, out, _ = command("layers", str(DEMO), "--layers", "dense", "--layers", "pool1")

    assert code == 0
    assert [line.split("\t")[1] for line in out.splitlines()] == ["pool1", "dense"]


def test_the_layers_of_a_saved_model(tmp_path: Path) -> None:
    keras.models.load_model(DEMO).export(tmp_path, verbose=False)
    code, out, _ = command("layers", str(tmp_path))

    assert code == 0
    rows = [re.findall(r"[\w.,]+", line) for line in out.splitlines() if "conv" in line]
    assert rows[0] == ["1", "conv1", "Conv2D", "28x28x16", "416"]


def test_selectors_of_a_file_are_taken_apart_as_in_a_request() -> None:
    code, out, _ = command("layers", str(DEMO), "--layers", "dense,pool1")

    assert code == 0
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("MODELS", "no/such/folder"), ("PORT", "x"), ("LIMITS__PLAN_BYTES", "many"), ("PLACES", "photos")],
)
def test_a_wrong_setting_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"LAYERSCOPE_{name}", value)
    code, _, error = command("serve")

    assert code == 2
    assert f"LAYERSCOPE_{name} is not valid" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(("name", "content"), [("broken.keras", b"no model"), ("broken.h5", b"")])
def test_a_file_that_is_no_model(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    code, _, error = command("layers", str(tmp_path / name))

    assert code == 1
    assert "Keras" in error
    assert "Traceback" not in error


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    code, _, error = command("layers", str(tmp_path))

    assert code == 1
    assert "There is no saved_model.pb" in error
    assert "Traceback" not in error


def test_a_selector_that_selects_nothing() -> None:
    code, _, error = command("layers", str(DEMO), "--layers", "cnv1")

    assert code == 1
    assert "Did you mean conv1" in error


def test_a_model_file_that_is_accepted() -> None:
    code, out, _ = command("models", "check", str(DEMO))

    assert code == 0
    assert "accepted" in out
    assert "input: ?x28x28x1 float32" in out
    assert "9: 3 Conv2D, 2 Dense, 2 MaxPooling2D, 1 Flatten, 1 InputLayer" in out
    assert "38,698 in 154,792 bytes" in out


def test_a_model_file_that_is_refused(tmp_path: Path) -> None:
    start = keras.Input((4,))
    keras.Model(start, keras.layers.Lambda(lambda x: x, name="[red]code")(start)).save(
        tmp_path / "code.keras"
    )
    code, out, error = command("models", "check", str(tmp_path / "code.keras"))

    assert (code, out) == (1, "")
    assert "layer_not_allowed" in error
    assert "$.config.layers[1]" in error


def test_a_model_file_is_added_once(tmp_path: Path) -> None:
    added = [
        command("models", "add", str(DEMO), "--models", str(tmp_path), "--name", "mine") for _ in range(2)
    ]

    assert [code for code, _, _ in added] == [0, 0]
    assert "It is now mine@1." in added[0][1]
    assert "It was already mine@1." in added[1][1]
    assert (tmp_path / "mine" / "1" / "model.keras").is_file()


def test_a_model_is_not_added_under_a_name_that_none_may_have(tmp_path: Path) -> None:
    code, _, error = command("models", "add", str(DEMO), "--models", str(tmp_path), "--name", "../mine")

    assert code == 1
    assert "A model cannot be called" in error


def test_a_folder_is_never_accepted(tmp_path: Path) -> None:
    code, _, error = command("models", "check", str(tmp_path))

    assert code == 1
    assert "only an operator can serve one" in " ".join(error.split())


def test_the_contract_is_printed() -> None:
    code, out, _ = command("openapi")

    assert code == 0
    assert json.loads(out) == create_app(Settings(models=None)).openapi()


def test_the_version() -> None:
    assert command("--version")[:2] == (0, f"{__version__}\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])  # noqa: S104
def test_other_machines_are_not_served(host: str) -> None:
    code, _, error = command("serve", "--host", host)

    assert code == 2
    assert "127.0.0.1" in error


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    code, _, error = command("serve", "--models", str(tmp_path / "none"))

    assert code == 2
    assert "there is no directory" in error


@dataclass(frozen=True)
class Running:
    """A service in a process of its own, what it printed, and where it is."""

    process: subprocess.Popen[str]
    greeting: str
    port: int


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    process = subprocess.Popen(
        [COMMAND, "demo", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"},
    )
    assert process.stderr is not None
    greeting = ""
    for line in process.stderr:
        greeting += line
        if "curl" in line:
            break
    found = re.search(r"http://127\.0\.0\.1:(\d+)", greeting)
    assert found, greeting
    yield Running(process, greeting, int(found[1]))
    process.kill()
    process.wait()


def test_it_says_what_it_serves_and_where(running: Running) -> None:
    assert "digits@1: 9 layers" in running.greeting
    assert "photos@1: 143 layers" in running.greeting
    address = f"http://127.0.0.1:{running.port}"
    assert f"Layerscope serves on {address}\n" in running.greeting
    assert f"{address}/ui/\n" in running.greeting
    assert f"{address}/docs\n" in running.greeting


def test_it_says_nothing_but_that(running: Running) -> None:
    said = [line for line in running.greeting.splitlines() if line]
    words = ["✓", "✓", "Layerscope", "explorer:", "contract:", "Try", "curl"]
    assert [line.split()[0] for line in said] == words


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_is_said_in_one_sentence(running: Running, workers: str) -> None:
    command = [COMMAND, "serve", "--port", str(running.port), "--workers", workers]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert ended.returncode == 2
    assert ended.stderr == (
        f"The service cannot listen on 127.0.0.1 port {running.port}: Address already in use."
        " Choose another with --host or --port.\n"
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_of_this_machine_is_said_in_one_sentence(host: str) -> None:
    command = [COMMAND, "serve", "--port", "0", "--host", host, "--insecure-no-auth"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"The service cannot listen on {host} port 0: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists a process' children")
def test_the_process_that_opened_the_models_is_gone_and_only_that_for_long_runs_is_left(
    running: Running,
) -> None:
    threads = list(Path(f"/proc/{running.process.pid}/task").glob("*/children"))

    (left,) = " ".join(each.read_text() for each in threads).split()
    # It has nothing but its socket to the service: no port that the service listens on, and no connection.
    names = [str(each.readlink()) for each in Path(f"/proc/{left}/fd").iterdir()]
    assert len([name for name in names if name.startswith("socket:")]) == 1
    assert Path(f"/proc/{left}/task/{left}/children").read_text() == ""


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_line_it_prints_works_as_it_is_pasted(running: Running) -> None:
    (line,) = [line.strip() for line in running.greeting.splitlines() if "curl" in line]
    answer = subprocess.run(
        [*shlex.split(line), "--silent", "--show-error"], capture_output=True, text=True, check=True
    )

    best = json.loads(answer.stdout)["outputs"][0]["predictions"][0][0]
    assert best["name"] == "espresso"


@pytest.mark.parametrize("is_declared", [True, False])
def test_a_body_that_is_too_long_is_refused_on_the_way(running: Running, is_declared: bool) -> None:
    size = 65 << 20
    connection = HTTPConnection("127.0.0.1", running.port, timeout=30)
    connection.putrequest("POST", ACTIVATIONS)
    connection.putheader("Content-Type", "image/png")
    if is_declared:
        connection.putheader("Content-Length", str(size))
    else:
        connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    if not is_declared:
        for _ in range(64):
            connection.send(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
        connection.send(b"1\r\n\0\r\n")
    answer = connection.getresponse()

    assert answer.status == 413
    assert json.loads(answer.read())["code"] == "body_too_large"
    connection.close()
    assert _predicts(running)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"nonsense\r\n\r\n", id="no HTTP"),
        pytest.param(
            b"GET /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", id="negative length"
        ),
    ],
)
def test_what_is_not_http_is_refused(running: Running, raw: bytes) -> None:
    connection = HTTPConnection("127.0.0.1", running.port, timeout=30)
    connection.connect()
    connection.sock.sendall(raw)
    received = connection.sock.recv(4096)
    connection.close()

    assert b" 400 " in received.splitlines()[0]
    assert _predicts(running)


def test_a_saved_model_is_served_if_it_is_trusted(tmp_path: Path) -> None:
    keras.models.load_model(DEMO).export(tmp_path / "saved" / "1", verbose=False)
    process = subprocess.Popen(
        [COMMAND, "serve", "--models", str(tmp_path), "--port", "0", "--trust-savedmodel"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert process.stderr is not None
    report = next(text for text in process.stderr if "saved@1" in text)
    process.kill()
    process.wait()

    assert "saved@1: 9 layers" in report


def test_it_ends_when_interrupted(running: Running) -> None:
    assert _predicts(running)
    running.process.send_signal(signal.SIGINT)
    rest = running.process.stderr.read() if running.process.stderr else ""

    assert running.process.wait(30) == 0
    assert "Traceback" not in rest


def _predicts(running: Running) -> bool:
    connection = HTTPConnection("127.0.0.1", running.port, timeout=30)
    connection.request("POST", "/v1/models/digits/predictions", SEVEN, PNG)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return bool(answer["outputs"][0]["predictions"][0][0]["class"] == 7)


def test_what_needs_no_model_does_not_wait_for_tensorflow():
    program = "import sys, layerscope_api.cli.app; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
