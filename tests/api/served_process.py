"""The service as a process of its own, as an operator starts it."""

import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from requests_made import PNG, SEVEN

COMMAND = Path(sys.executable).with_name("layerscope")


class Process:
    """A running service, and what it has said."""

    def __init__(self, *options: str, within: Sequence[str] = (), **environment: str) -> None:
        command = [*within, COMMAND, "serve", "--port", "0", *options]
        surroundings = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "300"} | environment
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=surroundings)
        self.lines: list[str] = []
        self._has_greeted = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        if not self._has_greeted.wait(300):
            self.process.kill()
        found = re.search(r"serves on http://\S+:(\d+)", "".join(self.lines))
        assert found, self.lines
        self.port = int(found[1])

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if "serves on" in line:
                self._has_greeted.set()
        self._has_greeted.set()

    def ask(self, method: str, path: str, token: str | None = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = SEVEN if method == "POST" else None
        key = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection.request(method, path, body, {**PNG, **key, **headers})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, json.loads(content)

    def resident_bytes(self) -> int:
        """Its memory, without that of processes it started."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def end(self) -> int:
        """Wait for its end, and give its status."""
        status = self.process.wait(60)
        self._reader.join()
        return status


@contextmanager
def serving(*options: str, within: Sequence[str] = (), **environment: str) -> Iterator[Process]:
    """The service; `within` is a command that starts the one it is given, in surroundings of its own."""
    process = Process(*options, within=within, **environment)
    try:
        yield process
    finally:
        process.process.kill()
        process.end()
