"""Two services behind HAProxy, which are restarted one after the other while requests come."""

import http.client
import io
import json
import re
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from requests_made import PNG, SEVEN
from served_process import Process

from free_ports import free_ports
from layerscope.demo import MODELS
from waiting import wait_for

HAPROXY = shutil.which("haproxy")

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "cluster.md").read_text("utf-8")

pytestmark = [
    pytest.mark.wide,
    pytest.mark.skipif(HAPROXY is None, reason="needs haproxy"),
]


def configuration(front: int, one: int, other: int) -> str:
    """What the page has for HAProxy, with these ports of this machine."""
    (text,) = re.findall(r"^```\n(defaults\n.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    for address, port in (("10.0.0.1:8000", one), ("10.0.0.2:8000", other), (" :8000", front)):
        assert text.count(address) == 1
        text = text.replace(address, f" 127.0.0.1:{port}")
    return text


def grey(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (28, 28), level).save(file, "PNG")
    return file.getvalue()


class Replicas:
    """Two services over one directory of models and one of images, and a proxy in front of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.front, *self.ports = free_ports(3)
        shutil.copytree(MODELS / "digits" / "1", folder / "models" / "digits" / "1")
        (folder / "images").mkdir()
        self.services = [self.start(port) for port in self.ports]

    def start(self, port: int) -> Process:
        return Process(
            *(
                "--port",
                str(port),
                "--models",
                str(self.folder / "models"),
                "--control",
                "poll",
                "--allow-upload",
            ),
            LAYERSCOPE_POLL_SECONDS="0.5",
            LAYERSCOPE_IMAGE_STORE=str(self.folder / "images"),
            LAYERSCOPE_DRAIN_SECONDS="5",
            LAYERSCOPE_KEEP_PREPARED="true",
            LAYERSCOPE_MODELS_CACHE=str(self.folder / "cache"),
        )

    def ask(
        self, method: str, path: str, body: bytes | None = None, port: int | None = None
    ) -> tuple[int, Any]:
        """The status and the document of an answer: of the proxy, or of the service at a port."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.front, timeout=60)
        try:
            connection.request(method, path, body, PNG if body else {})
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content.startswith(b"{") else content
        finally:
            connection.close()

    def listed(self) -> list[Any]:
        """What each of the services says of its models."""
        return [self.ask("GET", "/v1/models", port=port)[1] for port in self.ports]

    def restart(self, place: int) -> None:
        """End a service as an orchestrator does, and start another in its place."""
        self.services[place].process.send_signal(signal.SIGTERM)
        assert self.services[place].end() == 0
        self.services[place] = self.start(self.ports[place])
        wait_for(lambda: self.ask("GET", "/v2/health/ready", port=self.ports[place])[0] == 200)

    def has_predicted(self, place: int) -> bool:
        """Whether the proxy has sent a prediction to a service since its start."""
        return b"\nlayerscope_inferences_total{" in self.ask("GET", "/metrics", port=self.ports[place])[1]

    def end(self) -> None:
        for each in self.services:
            each.process.kill()
            each.end()


def answers(replicas: Replicas) -> bool:
    with suppress(OSError):
        return replicas.ask("GET", "/v2/health/ready")[0] == 200
    return False


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    folder = tmp_path_factory.mktemp("replicas")
    with ExitStack() as stack:
        replicas = Replicas(folder)
        stack.callback(replicas.end)
        written = folder / "haproxy.cfg"
        one, other = replicas.ports
        written.write_text(configuration(replicas.front, one, other), "utf-8")
        assert HAPROXY is not None
        proxy = subprocess.Popen([HAPROXY, "-f", written])
        stack.callback(proxy.wait)
        stack.callback(proxy.kill)
        wait_for(lambda: answers(replicas))
        yield replicas


def test_every_image_is_found(replicas: Replicas) -> None:
    found = Counter[int]()
    for level in range(48):
        status, stored = replicas.ask("POST", "/v1/images", grey(level))
        assert status in {200, 201}
        found[replicas.ask("GET", f"/v1/models/digits/predictions?image={stored['id']}")[0]] += 1
        replicas.ask("GET", "/v2/health/live")
    assert found == {200: 48}


def test_labels_and_removals_agree_within_two_looks(replicas: Replicas) -> None:
    file = (replicas.folder / "models" / "digits" / "1" / "model.keras").read_bytes()
    connection = http.client.HTTPConnection("127.0.0.1", replicas.front, timeout=120)
    connection.request("POST", "/v1/models?name=sent", file, {"Content-Type": "application/octet-stream"})
    assert connection.getresponse().status == 201
    connection.close()
    for method, path in (
        ("PUT", "/v1/models/digits@1/labels/stable"),
        ("POST", "/v1/models/digits@1/unload"),
        ("POST", "/v1/models/digits@1/load"),
        ("DELETE", "/v1/models/sent@1"),
    ):
        wait_for(lambda: len({json.dumps(each) for each in replicas.listed()}) == 1)
        assert replicas.ask(method, path, port=replicas.ports[0])[0] in {200, 204}
    wait_for(lambda: len({json.dumps(each) for each in replicas.listed()}) == 1)
    (digits,) = replicas.listed()[1]["models"]
    assert digits["labels"] == {"stable": 1}


def test_a_rolling_restart_under_load_loses_no_request(replicas: Replicas) -> None:
    statuses = Counter[int | str]()
    is_over = threading.Event()

    def keep_asking() -> None:
        while not is_over.is_set():
            try:
                statuses[replicas.ask("POST", "/v1/models/digits@stable/predictions", SEVEN)[0]] += 1
            except (OSError, http.client.HTTPException) as error:
                statuses[repr(error)] += 1

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for each in threads:
        each.start()
    try:
        for place in (0, 1):
            replicas.restart(place)
            wait_for(lambda: len({json.dumps(each) for each in replicas.listed()}) == 1)
            wait_for(lambda place=place: replicas.has_predicted(place))
    finally:
        is_over.set()
        for each in threads:
            each.join()
    assert statuses.keys() == {200}
    assert statuses[200] > 100
