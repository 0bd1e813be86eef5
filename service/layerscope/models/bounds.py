"""The bounds of opening an untrusted model. The process that opens it limits itself before it reads the file.

Limits of the kernel (setrlimit) hold whatever Python or a library does: a file that is made to use up memory or time ends
its own process only.
"""

import ctypes
import os
import resource
import signal
from dataclasses import dataclass
from typing import Self

from layerscope.limits import Limits

_OPEN_FILES = 256
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class OpeningBounds:
    """The bounds of opening one model.

    Attributes:
        seconds: wall-clock time, and time of each processor.
        address_space: bytes that the process may map. TensorFlow alone maps 1.5 GiB.
        parameters: the greatest number of parameters of the model.
    """

    seconds: int
    address_space: int
    parameters: int

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """The bounds that the limits of the service set."""
        return cls(limits.model_open_seconds, limits.model_open_bytes, limits.model_parameters)


def confine(bounds: OpeningBounds) -> None:
    """Limit this process for good. It ends by SIGALRM or SIGXCPU when it takes too long.

    Args:
        bounds: the address space bounds each written file, too; core files are off, and 256 files may be open.
    """
    processors = os.cpu_count() or 1
    for what, most in (
        (resource.RLIMIT_AS, bounds.address_space),
        (resource.RLIMIT_CPU, bounds.seconds * processors),
        (resource.RLIMIT_FSIZE, bounds.address_space),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bound, bound))
    end_after(bounds.seconds)


def end_after(seconds: int) -> None:
    """Have the system end this process by SIGALRM after some time."""
    # The default action ends the process without running Python, so that a loop inside a library ends, too.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)


def end_with(parent: int) -> None:
    """Have the system end this process when its parent ends, also if the parent is killed and can do nothing (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It ended before.
        os._exit(1)
