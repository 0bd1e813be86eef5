"""Worker: a process that does the shards that it is told, see `isolated`."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from pydantic import TypeAdapter

from layerscope.errors import LayerscopeError
from layerscope.models.bounds import end_with
from layerscope.start_messages import without_info_messages

with without_info_messages():
    from layerscope.extraction.extractor import Extractor
from layerscope.extraction.output import Output
from layerscope.extraction.runners.messages import MESSAGE, ORDER, Message
from layerscope.graph.loading.prepared_files import PreparedFiles


@dataclass(frozen=True)
class Setup:
    """The first line, see `messages.setup`."""

    address: str
    prepared: PreparedFiles | None


def serve(orders: BinaryIO, answers: BinaryIO) -> None:
    """Do one shard after the other, until there is no further order."""

    def say(message: Message) -> None:
        answers.write(MESSAGE.dump_json(message, exclude_none=True, fallback=str) + b"\n")
        answers.flush()

    setup = TypeAdapter(Setup).validate_json(orders.readline())
    with _telling_errors(say), Extractor(Output(setup.address), setup.prepared) as extractor:
        for line in orders:
            order = ORDER.validate_json(line)
            began = (lambda position: say(Message(began=position))) if order.one_by_one else None
            say(Message(receipt=extractor.do(order.shard, skipped=order.skipped, began=began)))


@contextmanager
def _telling_errors(say: Callable[[Message], None]) -> Iterator[None]:
    try:
        yield
    except LayerscopeError as error:
        say(Message.of(error))


def main() -> None:
    """Serve on the standard streams of the process, to which plugins of the model cannot print then."""
    end_with(int(sys.argv[1]))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)
    # TensorFlow takes two seconds to end in good order.
    os._exit(0)


if __name__ == "__main__":
    main()
