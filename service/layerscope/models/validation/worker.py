"""The process that validates a model file: run as `python -I -B -m layerscope.models.validation.worker`, see `checking`.

It reads a request from its standard input, and writes an answer to its standard output: both JSON.
"""

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from layerscope.errors import LayerscopeError, ModelTooLarge, ModelUnreadable
from layerscope.limits import Limits
from layerscope.models.durable import is_no_room, no_room
from layerscope.models.quota import Claim, Quota

_ADDRESS_SPACE = 2 << 30
_OPEN_FILES = 64
_OVERHEAD = 16 * 1024
"""What a file takes beside the lengths of its parts."""


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    limits = Limits(**request["limits"])
    _confine(limits)
    claim = _claiming(request.get("claim"))
    json.dump(_answer(Path(request["path"]), Path(request["target"]), limits, claim), sys.stdout)
    # HDF5 may crash when the process ends, if it could not write a file before.
    sys.stdout.flush()


def _confine(limits: Limits) -> None:
    """Limit this process before it reads a byte of the file.

    2 GiB of address space are enough for h5py, NumPy and a configuration: arrays are copied by slices of 4 MiB, whatever their
    size. Core files are off: a hostile file may crash HDF5, and the disk would fill with them.
    """
    for what, most in (
        (resource.RLIMIT_AS, _ADDRESS_SPACE),
        (resource.RLIMIT_CPU, limits.model_check_seconds),
        (resource.RLIMIT_FSIZE, limits.model_file_bytes + _ADDRESS_SPACE),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bound, bound))


def _claiming(claim: dict[str, Any] | None) -> Callable[[int], None]:
    """Claims room before a file is written, and bounds the length of each file accordingly."""
    if claim is None:
        return lambda _: None
    room = Claim(Quota(**claim["quota"]), claim["folder"])
    claimed = 0

    def take(size: int) -> None:
        nonlocal claimed
        claimed = max(claimed, size + _OVERHEAD)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        # The claim is a file of that length, too.
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        room(claimed)
        resource.setrlimit(resource.RLIMIT_FSIZE, (min(claimed, hard), hard))

    return take


def _answer(path: Path, target: Path, limits: Limits, claim: Callable[[int], None]) -> dict[str, Any]:
    # h5py has to be imported under the limits, too.
    from layerscope.models.validation.examination import examine  # noqa: PLC0415

    try:
        return {"report": asdict(examine(path, target, limits, claim))}
    except Exception as error:
        refusal = _refusal(error, path)
    return {"code": refusal.code, "message": refusal.message, "details": refusal.details}


def _refusal(error: Exception, path: Path) -> LayerscopeError:
    if is_no_room(error):
        return no_room()
    if isinstance(error, LayerscopeError):
        return error
    if isinstance(error, MemoryError):
        return ModelTooLarge("The file takes more memory to read than it may: save the model again.")
    # The message of a library about a hostile file may contain anything, so it goes to the log only.
    print(f"cannot examine {path.name}: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
    return ModelUnreadable("The file is damaged: save the model again.", cause=type(error).__name__)


if __name__ == "__main__":
    main()
