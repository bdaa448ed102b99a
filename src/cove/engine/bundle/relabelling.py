"""SELinux's labels on files of the host that a container is given: of ``:z`` and ``:Z``, volumes, files of /etc."""

import errno
import os
import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path

from cove.engine.bundle import selinux
from cove.engine.containers.record import MountPoint, Record
from cove.errors import InvalidArgument

ATTRIBUTE = "security.selinux"
SYSTEM = frozenset(
    "/ /bin /boot /dev /etc /etc/passwd /etc/pki /etc/shadow /home /lib /lib64 /media /opt /proc /root /run /sbin /srv"
    " /sys /tmp /usr /var /var/lib /var/log".split()
)
"""What the host would not work with, were it a container's."""


def wanted(record: Record) -> list[tuple[MountPoint, str]]:
    """The mounts whose files get another label, and which. Raises InvalidArgument for a directory of the system."""
    made = []
    for mount in record.mounts if record.mount_label else ():
        words = mount.mode.split(",")
        if mount.kind == "volume" or "Z" in words or "z" in words:
            if mount.kind == "bind" and posixpath.normpath(os.path.realpath(mount.source)) in SYSTEM:
                raise InvalidArgument(
                    f"error setting label on mount source '{mount.source}': "
                    f"SELinux relabeling of {mount.source} is not allowed"
                )
            made.append((mount, record.mount_label if "Z" in words else selinux.shared(record.mount_label)))
    return made


def relabel_all(mounts: Sequence[tuple[MountPoint, str]], sources: dict[str, str]) -> None:
    """``sources``: of volumes, by destination; one that is mounted for its container alone is left as it is.

    Walks through all of a bind, and through a volume that has not had the label: for a thread. Raises OSError.
    """
    for mount, label in mounts:
        path = sources.get(mount.destination, mount.source)
        if os.path.lexists(path) and not (mount.kind == "volume" and _has(path, label)):
            relabel(path, label)


def relabel(path: str, label: str) -> None:
    """A file, or a directory with all that is below it; links are not followed. Raises OSError."""
    for name in _below(path):
        try:
            os.setxattr(name, ATTRIBUTE, label.encode(), follow_symlinks=False)
        except FileNotFoundError:  # somebody has removed it meanwhile
            continue
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise


def share(files: Sequence[Path], label: str) -> None:
    """Give files that all of a network's containers read the label of none."""
    for file in files if label else ():
        if file.exists():
            relabel(str(file), selinux.shared(label))


def _below(path: str) -> Iterator[str]:
    """By names below an open directory, so that none is looked up through a link that has come in between.

    What is below goes first: who has the label of the whole has that of its parts.
    """
    real = os.path.realpath(path)
    if os.path.isdir(real):
        for _, directories, files, descriptor in os.fwalk(real, topdown=False):
            yield from (f"/proc/self/fd/{descriptor}/{name}" for name in (*files, *directories))
    yield real


def _has(path: str, label: str) -> bool:
    try:
        return os.getxattr(path, ATTRIBUTE).rstrip(b"\0") == label.encode()
    except OSError:
        return False
