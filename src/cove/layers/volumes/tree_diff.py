"""How one directory tree differs from another, name by name, in the order of ``docker diff``."""

import functools
import hashlib
import os
import stat
from collections.abc import Iterator

from cove.layers.listing import sorted_names
from cove.layers.looking.differences import ADDED, DELETED, MODIFIED
from cove.layers.tree import is_whiteout, open_directory
from cove.layers.worker.jobs import Difference


def tree_differences(old: int, new: int, *, contents: bool = False) -> Iterator[Difference]:
    """Sorted, each directory before what is in it. Both: descriptors that stay the caller's. Raises OSError.

    Files are taken for the same when kind, owner, mode, size, time and extended attributes are; with ``contents``,
    when what they hold is too, and directories and whiteouts whatever their times are: what an archive has no entry
    for is as old as its unpacking.
    """
    path: list[_Pair] = []
    try:
        path.append(_Pair(b"", open_directory(old, b"."), open_directory(new, b".")))
        while path:
            name = next(path[-1].names, None)
            if name is None:
                path.pop().close()
                continue
            found, deeper = _entry(path[-1], name, contents)
            if found is not None:
                yield found
            if deeper is not None:
                path.append(deeper)
    finally:
        for pair in path:
            pair.close()


class _Pair:
    """A directory as it was and as it is; one of the two may not be there."""

    __slots__ = ("names", "new", "old", "path")

    def __init__(self, path: bytes, old: int | None, new: int | None) -> None:
        self.path = path
        self.old = old
        self.new = new
        self.names = sorted_names(*(side for side in (old, new) if side is not None))

    def close(self) -> None:
        for side in (self.old, self.new):
            if side is not None:
                os.close(side)


def _entry(pair: _Pair, name: bytes, contents: bool) -> tuple[Difference | None, _Pair | None]:
    path = pair.path + b"/" + name
    before, after = _stat(pair.old, name), _stat(pair.new, name)
    if after is None:
        return (_difference(path, DELETED) if before is not None else None), None
    same_kind = before is not None and stat.S_IFMT(before.st_mode) == stat.S_IFMT(after.st_mode)
    kind = ADDED if before is None else MODIFIED
    timeless = contents and (stat.S_ISDIR(after.st_mode) or is_whiteout(after))
    differs = before is None or _differ(pair, name, before, after, timeless)
    if contents and not differs:
        differs = _holds(pair.old, name, after) != _holds(pair.new, name, after)
    found = _difference(path, kind) if differs else None
    if not stat.S_ISDIR(after.st_mode) or pair.new is None:
        return found, None
    old = open_directory(pair.old, name) if same_kind and pair.old is not None else None
    return found, _Pair(path, old, open_directory(pair.new, name))


def _stat(directory: int | None, name: bytes) -> os.stat_result | None:
    if directory is None:
        return None
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _differ(pair: _Pair, name: bytes, before: os.stat_result, after: os.stat_result, timeless: bool) -> bool:
    for field in ("st_mode", "st_uid", "st_gid", "st_rdev", *(() if timeless else ("st_mtime_ns",))):
        if getattr(before, field) != getattr(after, field):
            return True
    if not stat.S_ISDIR(after.st_mode) and before.st_size != after.st_size:
        return True
    return not stat.S_ISLNK(after.st_mode) and _attributes(pair.old, name) != _attributes(pair.new, name)


def _holds(directory: int | None, name: bytes, status: os.stat_result) -> bytes:
    """What a file holds, as a digest, or where a link leads; nothing of other kinds. Raises OSError."""
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(name, dir_fd=directory)
    if not stat.S_ISREG(status.st_mode):
        return b""
    with open(name, "rb", buffering=0, opener=functools.partial(os.open, dir_fd=directory)) as file:
        return hashlib.file_digest(file, "sha256").digest()


def _attributes(directory: int | None, name: bytes) -> dict[str, bytes]:
    path = b"/proc/self/fd/%d/%s" % (directory or 0, name)
    try:
        return {key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)}
    except OSError:
        return {}


def _difference(path: bytes, kind: int) -> Difference:
    return Difference(path.decode("utf-8", "replace"), kind)
