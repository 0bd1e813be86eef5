"""The process that reads a `.tflite` file and runs it: `python -I -B -m layerscope.graph.lite.worker FILE SOCKET`, see `process`.

Both arguments are descriptors. Messages over the socket are JSON. The arrays of a message follow it, each as the bytes of its
values: float32, rows first.
"""

import json
import os
import resource
import sys
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from layerscope.errors import LayerscopeError, ModelTooLarge
from layerscope.models.bounds import OpeningBounds, confine, end_with

_LONGEST_REQUEST = 1 << 20
_LONGEST_LOG = 1 << 20
"""It writes messages of its libraries only."""


def main() -> None:
    """Answer requests until the other end closes the socket."""
    file, connection = int(sys.argv[1]), Connection(int(sys.argv[2]))
    request = json.loads(connection.recv_bytes(_LONGEST_REQUEST))
    end_with(request["parent"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LONGEST_LOG, _LONGEST_LOG))
    confine(OpeningBounds(**request["bounds"]))
    try:
        _serve(file, connection)
    except LayerscopeError as error:
        _refuse(connection, error)
    except MemoryError:
        _refuse(connection, ModelTooLarge("The file takes more memory than it may: convert a smaller model."))


def _refuse(connection: Connection, error: LayerscopeError) -> None:
    refusal = {"code": error.code, "message": error.message, "details": error.details}
    connection.send_bytes(json.dumps(refusal, default=str).encode())


def _serve(file: int, connection: Connection) -> None:
    # The libraries have to be imported under the bounds, too.
    import numpy as np  # noqa: PLC0415

    from layerscope.graph.lite.structure import read_structure  # noqa: PLC0415

    with os.fdopen(file, "rb") as opened:
        opened.seek(0)
        content, graph = read_structure(opened.read())
    connection.send_bytes(json.dumps({"graph": asdict(graph)}).encode())

    from layerscope.graph.lite.interpreter import LiteInput, LiteInterpreter  # noqa: PLC0415

    interpreter: LiteInterpreter | None = None
    while (request := _received(connection)) is not None:
        inputs = [
            LiteInput(
                each["index"], np.frombuffer(connection.recv_bytes(), np.float32).reshape(each["shape"])
            )
            for each in request["inputs"]
        ]
        interpreter = interpreter or LiteInterpreter(content)
        values = interpreter.run(inputs, request["tensors"])
        connection.send_bytes(json.dumps({"shapes": [each.shape for each in values]}).encode())
        for array in values:
            connection.send_bytes(array.reshape(-1).view(np.uint8).data)


def _received(connection: Connection) -> dict[str, Any] | None:
    """The next request; None at the end of the socket."""
    try:
        request: dict[str, Any] = json.loads(connection.recv_bytes(_LONGEST_REQUEST))
    except EOFError:
        return None
    return request


if __name__ == "__main__":
    main()
