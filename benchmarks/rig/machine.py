"""Description of the machine that the figures were measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("layerscope", "tensorflow-cpu", "keras", "numpy", "pillow", "fastapi", "uvicorn")
_GIB = 1 << 30


def describe_machine() -> dict[str, object]:
    """The machine and the versions of the software. The date is in the history of the file."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / _GIB),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    for line in information.read_text("utf-8").splitlines() if information.exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
