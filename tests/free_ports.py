"""Ports for processes that must be told theirs before they begin."""

import socket
from contextlib import suppress
from itertools import islice
from random import SystemRandom

_PORTS = range(24_001, 32_768)
"""Nobody is given one of these unasked: what Ray chooses by itself is below, and what Linux chooses above."""


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens."""
    shuffled = SystemRandom().sample(_PORTS, len(_PORTS))
    return list(islice((port for port in shuffled if not is_open(port)), count))


def is_open(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
