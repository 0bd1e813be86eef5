"""The socket that the service listens with. It needs no TensorFlow, so an address that is taken is told at once."""

import os
import socket

from layerscope_api.context.settings import Settings

BACKLOG = 2048
"""How many connections the system keeps until they are accepted."""


class CannotListen(Exception):
    """The service cannot listen at the address of its settings."""


def listen(settings: Settings) -> socket.socket:
    """A socket that listens at the address of the settings.

    Raises:
        CannotListen: the port is in use, or the address is not of this machine; the text says which.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0
        # Names that cannot be resolved have negative numbers, and a text of their own.
        cause = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or error
        raise CannotListen(
            f"The service cannot listen on {settings.host} port {settings.port}: {cause}."
            " Choose another with --host or --port."
        ) from error
    # asyncio sets this only on sockets it made itself; without it each answer waits 40 ms for a delayed ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
