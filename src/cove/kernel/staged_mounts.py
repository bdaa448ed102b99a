"""Mounts that are made in one's own mount namespace, before anything is bound from there: volumes with a file system of
their own, parts of volumes, images.

Their places lie below the data root. Nothing is mounted there in the host's namespace: each container, and each job
that works on its files, mounts for itself, and the kernel shares the file system, counts who has it, and lets it go
with the last of them, whatever was killed.
"""

import errno
import os
import stat

from cove.kernel import foreign_mounts, mounts, overlay, paths
from cove.lean import Iterable, NamedTuple, Sequence


class StagedMount(NamedTuple):
    """What to mount at ``place``, which is made when it is missing.

    ``file system``: by mount(2), of ``type``, ``device``, ``flags`` and ``data``; ``path``: directories that it is to
    have, with commas between them. ``copy``: what is mounted at ``path``
    in the mount namespace whose file is ``device``, and is of that ``type``. ``layers``: an image's, uppermost first,
    to be read. ``part``: the ``path`` below the directory ``device``, no link of which leads out of it.
    """

    kind: str
    place: str
    device: str = ""
    path: str = ""
    type: str = ""
    flags: int = 0
    data: str = ""
    layers: Sequence[str] = ()


_MAGICS = {"tmpfs": 0x01021994, "ramfs": 0x858458F6}


def attach_all(staged: Iterable[StagedMount], user_namespace: int | None = None) -> None:
    """Make the mounts in this mount namespace, whose propagation to the host is cut. In Docker's words: OSError.

    ``user_namespace``: images are shown with its ids.
    """
    for mount in staged:
        if mount.kind == "file system":
            _mount(mount)
        elif mount.kind == "copy":
            _attach(_copy(mount), mount.place)
        elif mount.kind == "layers":
            os.makedirs(mount.place, mode=0o700, exist_ok=True)
            _attach(overlay.mount_read_only([*mount.layers, mount.place], user_namespace), mount.place)
        else:
            _attach(_part(mount), mount.place)


def _mount(mount: StagedMount) -> None:
    """Bind mounts take their other flags only afterwards (mount(2), MS_BIND)."""
    os.makedirs(mount.place, mode=0o755, exist_ok=True)
    try:
        mounts.mount_with_flags(mount.device, mount.place, mount.type, mount.flags & ~mounts.MS_PROPAGATION, mount.data)
        for name in filter(None, mount.path.split(",")):
            os.makedirs(f"{mount.place}/{name}", mode=0o755, exist_ok=True)
        rest = mount.flags & ~(mounts.MS_BIND | mounts.MS_REC | mounts.MS_PROPAGATION)
        if mount.flags & mounts.MS_BIND and rest:
            mounts.mount_with_flags("", mount.place, "", rest | mounts.MS_BIND | mounts.MS_REMOUNT, "")
    except OSError as error:
        raise OSError(error.errno, failure(mount, error.errno or 0)) from None


def failure(mount: StagedMount, number: int) -> str:
    """What Docker says of a volume whose file system cannot be mounted."""
    words = f"{mount.device}:{mount.place}"
    if mount.flags:
        words += f", flags: {mount.flags:#x}"
    if mount.data:
        words += f", data: {_without_password(mount.data)}"
    reason = os.strerror(number).lower()
    return f"error while mounting volume '{mount.place}': failed to mount local volume: mount {words}: {reason}"


def _without_password(data: str) -> str:
    return ",".join("password=********" if word.startswith("password=") else word for word in data.split(","))


def _copy(mount: StagedMount) -> int:
    """Of another container's mount, if that is what is there: it may have moved its directories about."""
    found = foreign_mounts.copy(mount.device, mount.path)
    if mounts.file_system_magic(found) == _MAGICS[mount.type]:
        return found
    os.close(found)
    raise OSError(errno.ESTALE, f"error while mounting volume '{mount.place}': another container has hidden it")


def _part(mount: StagedMount) -> int:
    base = os.open(mount.device, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        place = paths.open_in_root(base, mount.path, os.O_PATH)
    except OSError as error:
        words = f"cannot access path {mount.device}/{mount.path}: {os.strerror(error.errno or errno.EINVAL).lower()}"
        raise OSError(error.errno, words) from None
    finally:
        os.close(base)
    try:
        return mounts.open_tree("", mounts.OPEN_TREE_CLONE | mounts.AT_EMPTY_PATH | mounts.AT_RECURSIVE, place)
    finally:
        os.close(place)


def _attach(mount: int, place: str) -> None:
    """Attach a detached mount, at a directory or a file as it is one itself, and close it."""
    try:
        _make_place(place, directory=stat.S_ISDIR(os.fstat(mount).st_mode))
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
        try:
            mounts.attach(mount, opened)
        finally:
            os.close(opened)
    finally:
        os.close(mount)


def _make_place(place: str, *, directory: bool) -> None:
    if os.path.lexists(place) and directory != os.path.isdir(place):  # the part was of another kind the last time
        os.rmdir(place) if os.path.isdir(place) else os.unlink(place)
    if directory:
        os.makedirs(place, mode=0o755, exist_ok=True)
        return
    os.makedirs(os.path.dirname(place), mode=0o755, exist_ok=True)
    os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
