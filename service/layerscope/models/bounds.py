"""What opening a model from a stranger may take. The process that opens it gives the rest up first."""

import os
import resource
import signal
from dataclasses import dataclass
from typing import Self

from layerscope.limits import Limits

_OPEN_FILES = 256


@dataclass(frozen=True, slots=True)
class OpeningBounds:
    """The bounds of one opening.

    Attributes:
        seconds: of the clock, and of each processor.
        address_space: bytes that the process may map, TensorFlow included, which takes 1.5 GiB.
        parameters: most numbers that the model's weights may be.
    """

    seconds: int
    address_space: int
    parameters: int

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """Those that the limits set."""
        return cls(limits.model_open_seconds, limits.model_open_bytes, limits.model_parameters)


def confine(bounds: OpeningBounds) -> None:
    """Bound this process for good; it ends by SIGALRM or SIGXCPU when it takes too long."""
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
    # Its default action needs no Python to run, so that also a loop inside a library ends.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(bounds.seconds)
