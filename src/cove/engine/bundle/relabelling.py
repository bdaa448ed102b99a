"""SELinux's labels on files of the host that a container is given: of ``:z`` and ``:Z``, volumes, files of /etc."""

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cove.engine.bundle import selinux
from cove.engine.containers.record import MountPoint, Record
from cove.errors import Internal, InvalidArgument, NoSpace
from cove.kernel import walks
from cove.kernel.mounts import MS_BIND
from cove.kernel.staged_mounts import StagedMount

ATTRIBUTE = "security.selinux"
SYSTEM = frozenset(
    "/ /bin /boot /dev /etc /etc/passwd /etc/pki /etc/shadow /home /lib /lib64 /media /opt /proc /root /run /sbin /srv"
    " /sys /tmp /usr /var /var/lib /var/log".split()
)
"""What the host would not work with, were it a container's."""

_WORDS = {"z", "Z"}


class Target(NamedTuple):
    """Files that get a label. ``once``: not where the directory above them has it, as they have it then too."""

    path: str
    label: str
    once: bool


def wanted(record: Record, mounts: Iterable[MountPoint], staged: Sequence[StagedMount]) -> list[Target]:
    """What of these mounts gets another label. ``staged``: what is mounted for them, for their container alone."""
    found = []
    for mount in mounts if record.mount_label else ():
        if path := _path(record, mount, staged):
            own = "Z" in mount.mode.split(",")
            label = record.mount_label if own else selinux.shared(record.mount_label)
            found.append(Target(path, label, once=mount.kind == "volume" and path == mount.source))
    return found


def _path(record: Record, mount: MountPoint, staged: Sequence[StagedMount]) -> str:
    """Of a bind or volume, all of it where a part is mounted; "" when it keeps its labels.

    A volume that is mounted for its container alone is left as it is, but for a directory of the host with ``:z``.
    """
    if mount.kind == "bind":
        return mount.source if _WORDS & {*mount.mode.split(",")} else ""
    if mount.kind != "volume":
        return ""
    own = [one for one in staged if one.place == mount.source]
    if not own:
        return mount.source
    binds = (one.device for one in own if one.flags & MS_BIND and posixpath.isabs(one.device))
    return next(binds, "") if _asked(record, mount) else ""


def _asked(record: Record, mount: MountPoint) -> bool:
    """Whether the user said so: every volume has the mode ``z`` when none is given."""
    for bind in record.host_config.binds or []:
        _, destination, mode = [*bind.split(":"), "", ""][:3]
        if posixpath.normpath(destination) == mount.destination and _WORDS & {*mode.split(",")}:
            return True
    return False


def relabel_all(targets: Sequence[Target]) -> None:
    """Put the labels on what is there, or on nothing of it where one is the system's. For a thread.

    Raises InvalidArgument, NoSpace, Internal in Docker's words.
    """
    with contextlib.ExitStack() as held:
        opened = []
        for target in targets:
            with _failing(target), contextlib.suppress(FileNotFoundError):
                descriptor = os.open(target.path, os.O_PATH | os.O_CLOEXEC)
                held.callback(os.close, descriptor)
                _refuse_system(target, descriptor)
                opened.append((target, descriptor))
        for target, descriptor in opened:
            if not (target.once and _has(descriptor, target.label)):
                with _failing(target):
                    _relabel(descriptor, target.label)


def share(files: Sequence[Path], label: str) -> None:
    """Give files that all of a network's containers read the label of none. Raises OSError."""
    for file in files if label else ():
        if file.exists():
            _set(str(file), selinux.shared(label))


@contextlib.contextmanager
def _failing(target: Target) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = NoSpace if error.errno == errno.ENOSPC else Internal
        reason = os.strerror(error.errno or errno.EIO).lower()
        raise kind(f"error setting label on mount source '{target.path}': {reason}") from error


def _refuse_system(target: Target, descriptor: int) -> None:
    """By what was opened, which stays what it is when a link on the way to it changes."""
    if os.readlink(_name(descriptor)) in SYSTEM:
        raise InvalidArgument(
            f"error setting label on mount source '{target.path}': SELinux relabeling of {target.path} is not allowed"
        )


def _relabel(descriptor: int, label: str) -> None:
    """A file, or a directory with all that is below it; links are not followed. Raises OSError.

    What is below goes first: who has the label of the whole has that of its parts.
    """
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        with contextlib.closing(walks.below(descriptor)) as found:
            for directory, name in found:
                _set(f"{_name(directory)}/{name}", label, links=False)
    _set(_name(descriptor), label)


def _set(path: str, label: str, *, links: bool = True) -> None:
    """Somebody may have removed it meanwhile, and some file systems have no labels. Raises OSError."""
    try:
        os.setxattr(path, ATTRIBUTE, label.encode(), follow_symlinks=links)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EOPNOTSUPP):
            raise


def _has(descriptor: int, label: str) -> bool:
    try:
        return os.getxattr(_name(descriptor), ATTRIBUTE).rstrip(b"\0") == label.encode()
    except OSError:
        return False


def _name(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"
