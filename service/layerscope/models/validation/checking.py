"""The validation of a model file in another process, which has little memory and time and answers in JSON.

HDF5 is a large C library that was not made for hostile files. If a file crashes it, or makes it use up memory or time, the
process ends and the file is refused; the service goes on.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from layerscope.errors import ModelTooLarge, ModelUnreadable, StorageFull, UnsupportedFormat, model_refusal
from layerscope.limits import Limits
from layerscope.models.durable import no_room, storing, tells_no_room
from layerscope.models.file_kinds import foreign_kind
from layerscope.models.quota import Claim
from layerscope.models.validation.report import Report

logger = logging.getLogger(__name__)

_SUFFIXES = (".keras", ".h5", ".hdf5")


def check(path: Path, limits: Limits) -> Report:
    """Validate a model file and keep nothing.

    Raises:
        ModelRefused: one of its subclasses, with the reason and advice.
        UnsupportedFormat: the format is not supported.
        StorageFull: there is no room for temporary files.
    """
    with storing(), tempfile.TemporaryDirectory(prefix="layerscope-check-") as folder:
        return validate(path, Path(folder) / f"fresh{path.suffix}", limits)


def validate(path: Path, target: Path, limits: Limits, claim: Claim | None = None) -> Report:
    """Validate a model file and write a fresh file of the checked parts.

    Args:
        path: the file.
        target: where to write the fresh file. Its name ends in `.keras`, `.h5` or `.hdf5`, the format that `path` must have.
            Temporary files are in the same folder. If the model is refused, nothing is left there.
        limits: bounds of a model and of checking it.
        claim: claims room under a quota for the largest file that is written, before it is; three of that size may be
            there at one time.

    Raises:
        ModelRefused: one of its subclasses, with the reason and advice.
        UnsupportedFormat: the format is not supported.
        StorageFull: there is no room for the fresh file or for temporary files.
    """
    kind = None if path.is_dir() or target.suffix in _SUFFIXES else foreign_kind(path)
    if kind is not None:
        raise UnsupportedFormat(f"The file is {kind}.", suffixes=list(_SUFFIXES))
    if path.is_dir() or target.suffix not in _SUFFIXES:
        raise UnsupportedFormat(
            "A model must be a .keras or an .h5 file; a SavedModel is a program, and only an operator can serve one.",
            suffixes=list(_SUFFIXES),
        )
    try:
        with tempfile.TemporaryDirectory(prefix=".check-", dir=target.parent) as folder:
            return _result(_run(path, target, Path(folder), limits, claim))
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _run(path: Path, target: Path, folder: Path, limits: Limits, claim: Claim | None) -> dict[str, Any]:
    request = {
        "path": str(path.absolute()),
        "target": str(target.absolute()),
        "limits": asdict(limits),
        "claim": None if claim is None else asdict(claim),
    }
    try:
        done = subprocess.run(
            # Its bound on the length of files would cut the byte code that it keeps for others.
            [sys.executable, "-I", "-B", "-m", "layerscope.models.validation.worker"],
            input=json.dumps(request).encode(),
            capture_output=True,
            cwd=folder,
            env=_environment(folder),
            timeout=limits.model_check_seconds,
            process_group=0,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _too_slow(limits) from error
    if done.stderr:
        logger.warning("%s", done.stderr.decode(errors="replace").strip()[-2_000:])
    if done.returncode == -signal.SIGXCPU:
        raise _too_slow(limits)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        if tells_no_room(done.stderr):
            raise no_room() from error
        raise ModelUnreadable(
            "Checking the file ended too early: it may be made to break what reads it."
        ) from error
    return answer


def _environment(folder: Path) -> dict[str, str]:
    """The environment of the process: nothing from the service's own, which may hold secrets. One thread for NumPy."""
    return {
        "TMPDIR": str(folder),
        "HOME": str(folder),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def _result(answer: dict[str, Any]) -> Report:
    if "report" in answer:
        # Importing pydantic takes nearly half of the worker's start, which imports this module with its package.
        from pydantic import TypeAdapter  # noqa: PLC0415

        return TypeAdapter(Report).validate_python(answer["report"])
    for other in (UnsupportedFormat, StorageFull):
        if answer["code"] == other.code:
            raise other(answer["message"], **answer["details"])
    raise model_refusal(answer["code"], answer["message"], answer["details"])


def _too_slow(limits: Limits) -> ModelTooLarge:
    return ModelTooLarge(
        f"Checking the model takes longer than {limits.model_check_seconds} seconds.",
        limit=limits.model_check_seconds,
    )
