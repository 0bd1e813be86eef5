"""Settings that do not work as expected on a file system of the network, which is told when the service starts."""

from collections.abc import Iterator
from pathlib import Path

from layerscope_api.context.settings import Settings

_MOUNTS = Path("/proc/self/mounts")

_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "gpfs", "lustre", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"}
)


def filesystem_type(path: Path, mounts: str) -> str:
    """The type of the file system that a path is on, as the kernel calls it; empty if that is not known.

    Args:
        path: need not be there.
        mounts: the text of `/proc/self/mounts`.
    """
    place, found, longest = path.resolve(), "", -1
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split(" ")
        mounted = Path(point.replace("\\040", " "))
        # Of several that are mounted at one point, the last one counts.
        if place.is_relative_to(mounted) and len(mounted.parts) >= longest:
            found, longest = kind, len(mounted.parts)
    return found


def network_warnings(settings: Settings, mounts: str | None = None) -> Iterator[str]:
    """What does not work as expected where the directories of these settings are, in sentences.

    Args:
        settings: of the service.
        mounts: the text of `/proc/self/mounts`; read from there if left out.
    """
    if mounts is None:
        if not _MOUNTS.exists():
            return
        mounts = _MOUNTS.read_text("utf-8", "replace")
    if isinstance(settings.models, Path) and settings.allow_upload:
        kind = filesystem_type(settings.models, mounts)
        if kind in _NETWORK or _is_fuse(kind):
            yield (
                f"models are on a network file system ({kind}), where locks of folders hold on one machine only: start no other"
                " service over this directory with --allow-upload"
            )
            if settings.control != "poll":
                yield (
                    "other services over this directory of models learn of uploads, labels and removals with --control poll"
                    " only"
                )
    if settings.jobs is not None:
        kind = filesystem_type(settings.jobs, mounts)
        if _is_fuse(kind):
            yield (
                f"jobs is on FUSE ({kind}), where locks may hold on one machine only: let no service of another machine have this"
                " folder, or both do every job"
            )
    if isinstance(settings.image_store, Path):
        kind = filesystem_type(settings.image_store, mounts)
        if _is_fuse(kind):
            yield (
                f"image_store is on FUSE ({kind}), which may have neither hard links nor times of use: give the URL of the bucket"
                " instead"
            )


def _is_fuse(kind: str) -> bool:
    return kind == "fuse" or kind.startswith("fuse.")
