"""What a container changed: its upper directory compared with the layers below, by Docker's rules."""

import os
import stat
from collections.abc import Iterator

from cove.kernel import layer_images, overlay
from cove.layers.listing import sorted_names
from cove.layers.tree import OPAQUE, is_whiteout, open_directory
from cove.layers.worker.jobs import Difference

MODIFIED, ADDED, DELETED = 0, 1, 2
FURNISHED = frozenset((
    b"/.dockerenv", b"/dev", b"/dev/console", b"/dev/pts", b"/dev/shm", b"/etc", b"/etc/hostname", b"/etc/hosts",
    b"/etc/mtab", b"/etc/resolv.conf", b"/proc", b"/sys",
))  # fmt: skip
"""What every container has, made for its mounts when the image has it not: no change of the container's own."""


def differences(lower: list[str], upper: str) -> Iterator[Difference]:
    """Sorted, each directory before what is in it. ``lower``: uppermost first. Raises OSError.

    What is kept meanwhile are the names of the directories that lead to the present one, however many files there are.
    """
    path: list[_Level] = []
    told = 0
    try:
        below = _open_lower(lower)
        path.append(_Level(b"", os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), below))
        while path:
            name = next(path[-1].names, None)
            if name is None:
                path.pop().close()
                told = min(told, len(path))
                continue
            found, deeper = path[-1].compared(name)
            if found is not None:
                yield from (level.own for level in path[told:] if level.own is not None)
                told = len(path)
                yield found
            if deeper is not None:
                path.append(deeper)
    finally:
        for level in path:
            level.close()


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


class _Level:
    """A changed directory. ``above``, ``below``: its descriptors, which it closes; there may be nothing below.

    ``own``: its own difference, of which is told once there is one in it.
    """

    def __init__(self, path: bytes, above: int, below: int | None, own: Difference | None = None) -> None:
        self.path = path
        self.own = own
        self._above = above
        self._below = below
        self._hidden = below if below is not None and _is_opaque(above) else None
        self.names = sorted_names(above, *(() if self._hidden is None else (self._hidden,)))

    def close(self) -> None:
        os.close(self._above)
        if self._below is not None:
            os.close(self._below)

    def compared(self, name: bytes) -> tuple[Difference | None, "_Level | None"]:
        """What is different of one of ``names``, and the directory to go into."""
        path = self.path + b"/" + name
        try:
            new = os.stat(name, dir_fd=self._above, follow_symlinks=False)
        except FileNotFoundError:  # it is below an opaque directory, or gone since it was listed
            hidden = _stat(name, self._hidden) is not None
            return _difference(path, DELETED) if hidden else None, None
        old = _stat(name, self._below)
        if is_whiteout(new):
            return _difference(path, DELETED) if old is not None else None, None
        if stat.S_ISDIR(new.st_mode):
            return self._directory(path, name, new, old)
        if old is None:
            return None if _is_furniture(path, new) else _difference(path, ADDED), None
        return _difference(path, MODIFIED) if _differ(new, old) else None, None

    def _directory(
        self, path: bytes, name: bytes, new: os.stat_result, old: os.stat_result | None
    ) -> tuple[Difference | None, "_Level | None"]:
        """It is told of at once when it is different itself."""
        own = _difference(path, ADDED if old is None else MODIFIED)
        if old is None and path in (b"/dev", b"/etc"):
            return None, self._deeper(path, name, old, None)
        if old is None and path in FURNISHED:
            return None, self._deeper(path, name, old, own)
        if old is None or _differ(new, old):
            return own, self._deeper(path, name, old, None)
        return None, self._deeper(path, name, old, own)

    def _deeper(self, path: bytes, name: bytes, old: os.stat_result | None, own: Difference | None) -> "_Level | None":
        above = _opened(name, self._above)
        if above is None:
            return None
        was_directory = old is not None and stat.S_ISDIR(old.st_mode)
        return _Level(path, above, _opened(name, self._below) if was_directory else None, own)


def _is_opaque(directory: int) -> bool:
    """Whether it hides what is below it."""
    try:
        return os.getxattr(directory, OPAQUE) == b"y"
    except OSError:
        return False


def _opened(name: bytes, parent: int | None) -> int | None:
    """The directory of this name, or None when there is none (any more)."""
    if parent is None:
        return None
    try:
        return open_directory(parent, name)
    except (FileNotFoundError, NotADirectoryError):
        return None


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
