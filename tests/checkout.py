"""The files of the checkout that the tests run in."""

import subprocess
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]


def files_below(folder: Path = ROOT) -> list[PurePosixPath]:
    """Every file below a folder of the checkout that git does not ignore, relative to that folder."""
    # A checkout mounted into a container belongs to somebody else there, which git would refuse.
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    listed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return [PurePosixPath(name) for name in listed.split("\0") if name and (folder / name).is_file()]
