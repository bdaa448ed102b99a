"""Paths below a root that is not trusted: openat2 with RESOLVE_IN_ROOT, so that no link and no ".." leads out of it."""

import os
import stat
import struct

from cove.kernel.libc import system_call

_OPENAT2 = 437
_RESOLVE_NO_XDEV = 0x01
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_IN_ROOT = 0x10
_MAX_RETRIES = 128
_MAX_LINKS = 40  # the kernel's own limit (path_resolution(7))


def open_in_root(root: int, path: str, flags: int, mode: int = 0, *, links: bool = True) -> int:
    """Open a path as a process would whose root directory is ``root``; close-on-exec.

    With ``links`` false any symbolic link in the path is refused (ELOOP). Raises OSError with the path.
    """
    resolve = _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS | (0 if links else _RESOLVE_NO_SYMLINKS)
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(_MAX_RETRIES):
        try:
            return system_call("open", _OPENAT2, root, os.fsencode(path), how, len(how), path=path)
        except (
            BlockingIOError
        ):  # EAGAIN: something was renamed meanwhile, and the kernel cannot tell whether it is safe
            continue
    raise BlockingIOError(11, "open: the directories keep being renamed", path)


def make_directories(root: int, path: str, mode: int = 0o755, owner: tuple[int, int] = (0, 0)) -> int:
    """Open a directory below ``root`` (O_PATH), creating what is missing; dangling links are followed inside the root.

    Raises NotADirectoryError when a part of the path is something else.
    """
    return _make_directories(root, path, mode, owner, _MAX_LINKS)


def _make_directories(root: int, path: str, mode: int, owner: tuple[int, int], links: int) -> int:
    flags = os.O_PATH | os.O_DIRECTORY
    try:
        return open_in_root(root, path.strip("/") or ".", flags)
    except FileNotFoundError:
        if links <= 0:
            raise OSError(40, "too many symbolic links", path) from None
    parent_path, _, name = path.rstrip("/").rpartition("/")
    parent = _make_directories(root, parent_path, mode, owner, links)
    try:
        target = _make_directory(parent, name, mode, owner)
    finally:
        os.close(parent)
    if target is None:
        return open_in_root(root, path, flags)
    followed = target if target.startswith("/") else f"{parent_path}/{target}"
    return _make_directories(root, followed, mode, owner, links - 1)


def _make_directory(parent: int, name: str, mode: int, owner: tuple[int, int]) -> str | None:
    """Make one directory; when the name is taken by a symbolic link, its target."""
    if name in ("", ".", ".."):
        return None
    try:
        os.mkdir(name, mode, dir_fd=parent)
        if owner != (0, 0):
            os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
    except FileExistsError:
        return read_link(parent, name)
    return None


def make_file(root: int, path: str, mode: int = 0o755) -> int:
    """Open a file below ``root`` (O_PATH), creating an empty one, and its directories, when it is missing."""
    for _ in range(_MAX_LINKS):
        try:
            return open_in_root(root, path, os.O_PATH)
        except FileNotFoundError:
            pass
        parent_path, _, name = path.rstrip("/").rpartition("/")
        parent = make_directories(root, parent_path)
        try:
            target = _make_file(parent, name, mode)
        finally:
            os.close(parent)
        if target is not None:
            path = target if target.startswith("/") else f"{parent_path}/{target}"
    raise OSError(40, "too many symbolic links", path)


def _make_file(parent: int, name: str, mode: int) -> str | None:
    """Make one empty file; when the name is taken by a symbolic link, its target."""
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode, dir_fd=parent))
    except FileExistsError:
        return read_link(parent, name)
    return None


def read_link(directory: int, name: str) -> str | None:
    """The target of a symbolic link in an open directory; None when it is no link."""
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        return None


def read_file(root: int, path: str, limit: int) -> bytes:
    """The content of a regular file below ``root``. Raises ValueError when it is longer than ``limit`` bytes.

    Anything but a regular file (a fifo, a device) is refused with ValueError before it is opened for reading.
    """
    os.close(_regular(root, path, os.O_PATH))
    descriptor = _regular(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with open(descriptor, "rb", buffering=0) as file:
        data = bytearray()
        while len(data) <= limit and (chunk := file.read(limit + 1 - len(data))):
            data += chunk
    if len(data) > limit:
        raise ValueError(f"{path} is longer than {limit} bytes")
    return bytes(data)


def _regular(root: int, path: str, flags: int) -> int:
    descriptor = open_in_root(root, path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path} is not a regular file")
    return descriptor
