"""Places: where data sets are read and results are written, a directory or a folder at a URL.

What is written to a place appears whole. Nothing else is asked of one, neither locks nor renames, so that any number of machines may
work in the same place.
"""

import re
from pathlib import Path

from layerscope.errors import DataSetUnreadable, OptionInvalid
from layerscope.extraction.places.directory import Directory, is_within, printable
from layerscope.extraction.places.place import Place, Stamp
from layerscope.extraction.places.remote import Remote
from layerscope.models.mirrors.filesystems import filesystem_at, is_url

__all__ = ["Directory", "Place", "Stamp", "absolute", "place_at", "printable", "split"]

_PASSWORD = re.compile(r"//[^/@]*:[^/@]*@")


def absolute(address: str) -> str:
    """An address that another process, in another directory, understands in the same way."""
    return address if not address or is_url(address) else str(Path.cwd() / address)


def place_at(address: str, option: str, within: Path | None = None) -> Place:
    """The place of an address, which need not be there.

    Args:
        address: a path of this machine, or a URL that fsspec understands.
        option: that it was given for.
        within: the folder of this machine that no file may be outside of, also behind links; None for no such bound.

    Raises:
        DataSetUnreadable: the folder is not within the bound.
        OptionInvalid: fsspec or the driver of the protocol is not installed, or the URL has a password.
    """
    if not is_url(address):
        if not is_within(Path(address), within):
            raise DataSetUnreadable(f"{Path(address).name} is a link to another place.")
        return Directory(Path(address), within)
    filesystem, root, name = filesystem_at(address, option)
    if _PASSWORD.search(address):
        # It would be written into the result.
        raise OptionInvalid(
            f"{name} is not to be given with a password: the driver reads that from the environment.",
            option=option,
        )
    if getattr(filesystem, "local_file", False):
        return Directory(Path(root), within)
    return Remote(address, filesystem, root)


def split(address: str) -> tuple[str, str]:
    """The address of a folder, and the name of what is in it."""
    folder, slash, name = address.rpartition("/")
    return folder or slash, name
