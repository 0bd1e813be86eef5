"""The supervisor's ends of the sockets to its workers: what one worker publishes, the others are sent."""

import functools
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector

from layerscope_api.context.worker_sync import Done, FromWorker, Join, Leave, Publish
from layerscope_api.server.command_log import CommandLog


class CommandRouter:
    """Reads what workers send, and sends each what the log has for it, when its socket can take it. For one thread.

    Nothing here blocks, however slow a worker is. A message is shorter than 16 KiB, which a connection writes with one
    call: where a socket can be read, a whole message is there, and where it can be written, there is room for one.

    Args:
        selector: where the sockets are registered, each with a callback as its data, which takes the events.
    """

    def __init__(self, selector: BaseSelector) -> None:
        self._selector = selector
        self._log: CommandLog[Connection] = CommandLog()
        self._connections: set[Connection] = set()

    @property
    def is_serving(self) -> bool:
        """Whether any worker has loaded its models, even if it has ended since."""
        return self._log.is_serving

    def connect(self) -> tuple[Connection, Connection]:
        """The ends of a new socket pair: the router's, which names the worker here, and the worker's."""
        own, other = Pipe()
        self._connections.add(own)
        self._log.connect(own)
        self._selector.register(own, EVENT_READ | EVENT_WRITE, functools.partial(self._handle, own))
        return own, other

    def disconnect(self, worker: Connection) -> None:
        """Take in what a worker that has ended sent at last, and wait no more for it."""
        while worker in self._connections and worker.poll():
            self._read(worker)
        self._drop(worker)

    def close(self) -> None:
        """Close the sockets, in a fork that must not keep them open. The selector is not touched, which a fork shares."""
        for each in self._connections:
            each.close()

    def _handle(self, worker: Connection, events: int) -> None:
        # An earlier callback for the same events may have dropped it.
        if worker not in self._connections:
            return
        if events & EVENT_READ:
            self._read(worker)
        else:
            self._write(worker)

    def _read(self, worker: Connection) -> None:
        try:
            self._take(worker, worker.recv())
        except (EOFError, OSError):
            self._drop(worker)
        # Whatever it was, there may be messages now for any of them.
        for each in self._connections:
            self._wait_for(each, EVENT_READ | EVENT_WRITE)

    def _write(self, worker: Connection) -> None:
        message = self._log.next_message(worker)
        if message is None:
            self._wait_for(worker, EVENT_READ)
            return
        # The end of a worker shows when its socket is read.
        with suppress(OSError):
            worker.send(message)

    def _take(self, worker: Connection, message: FromWorker) -> None:
        match message:
            case Join():
                self._log.join(worker)
            case Publish(command):
                self._log.publish(worker, command)
            case Done(number):
                self._log.acknowledge(worker, number)
            case Leave():
                self._drop(worker)

    def _drop(self, worker: Connection) -> None:
        if worker in self._connections:
            self._connections.remove(worker)
            self._log.disconnect(worker)
            self._selector.unregister(worker)
            worker.close()

    def _wait_for(self, worker: Connection, events: int) -> None:
        key = self._selector.get_key(worker)
        if key.events != events:
            self._selector.modify(worker, events, key.data)
