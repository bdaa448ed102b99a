"""What a container changed: its upper directory compared with the layers below, by Docker's rules."""

import contextlib
import os
import stat
from collections.abc import Iterator

from cove.kernel import layer_images, overlay
from cove.layers.tree import OPAQUE, is_whiteout, open_directory
from cove.layers.worker.jobs import Difference

MODIFIED, ADDED, DELETED = 0, 1, 2
FURNISHED = frozenset((
    b"/.dockerenv", b"/dev", b"/dev/console", b"/dev/pts", b"/dev/shm", b"/etc", b"/etc/hostname", b"/etc/hosts",
    b"/etc/mtab", b"/etc/resolv.conf", b"/proc", b"/sys",
))  # fmt: skip
"""What every container has, made for its mounts when the image has it not: no change of the container's own."""


def differences(lower: list[str], upper: str) -> list[Difference]:
    """Sorted, each directory before what is in it. ``lower``: uppermost first. Raises OSError."""
    below = _open_lower(lower)
    above = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _directory(b"", above, below)
    finally:
        os.close(above)
        if below is not None:
            os.close(below)


def _open_lower(lower: list[str]) -> int | None:
    if not lower:
        return None
    if len(lower) == 1 and not layer_images.is_image(lower[0]):
        return os.open(lower[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    mount = layer_images.mount(lower[0]) if len(lower) == 1 else overlay.mount_read_only(lower)
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount)
    finally:
        os.close(mount)


def _directory(path: bytes, above: int, below: int | None) -> list[Difference]:
    names = set(map(os.fsencode, os.listdir(above)))
    gone = _hidden(above, below) - names
    found: list[Difference] = []
    for name in sorted(names | gone):
        child = path + b"/" + name
        if name in gone:
            found.append(_difference(child, DELETED))
        else:
            found += _entry(child, name, above, below)
    return found


def _hidden(above: int, below: int | None) -> set[bytes]:
    """What is below an opaque directory."""
    if below is None:
        return set()
    try:
        opaque = os.getxattr(above, OPAQUE) == b"y"
    except OSError:
        return set()
    return {os.fsencode(entry) for entry in os.listdir(below)} if opaque else set()


def _entry(path: bytes, name: bytes, above: int, below: int | None) -> list[Difference]:
    try:
        new = os.stat(name, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:  # gone since it was listed
        return []
    old = _stat(name, below)
    if is_whiteout(new):
        return [_difference(path, DELETED)] if old is not None else []
    inside = _inside(path, name, new, old, above, below) if stat.S_ISDIR(new.st_mode) else []
    if old is None:
        if _is_furniture(path, new) and (not inside or path in (b"/dev", b"/etc")):
            return inside
        return [_difference(path, ADDED), *inside]
    if inside or _differ(new, old):
        return [_difference(path, MODIFIED), *inside]
    return []


def _inside(
    path: bytes, name: bytes, new: os.stat_result, old: os.stat_result | None, above: int, below: int | None
) -> list[Difference]:
    with _opened(name, above) as deeper:
        if deeper is None:
            return []
        was_directory = old is not None and stat.S_ISDIR(old.st_mode)
        with _opened(name, below if was_directory else None) as under:
            return _directory(path, deeper, under)


@contextlib.contextmanager
def _opened(name: bytes, parent: int | None) -> Iterator[int | None]:
    """The directory of this name, or None when there is none (any more)."""
    descriptor = None
    if parent is not None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            descriptor = open_directory(parent, name)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _stat(name: bytes, directory: int | None) -> os.stat_result | None:
    """None for what is not there, which a whiteout says as well."""
    if directory is None:
        return None
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return None if is_whiteout(found) else found


def _differ(new: os.stat_result, old: os.stat_result) -> bool:
    if (new.st_mode, new.st_uid, new.st_gid, new.st_rdev) != (old.st_mode, old.st_uid, old.st_gid, old.st_rdev):
        return True
    if stat.S_ISDIR(new.st_mode):
        return False
    return (new.st_size, new.st_mtime_ns) != (old.st_size, old.st_mtime_ns)


def _is_furniture(path: bytes, found: os.stat_result) -> bool:
    empty = stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and not found.st_size)
    return path in FURNISHED and (empty or stat.S_ISLNK(found.st_mode))


def _difference(path: bytes, kind: int) -> Difference:
    return Difference(path.decode("utf-8", "replace"), kind)
