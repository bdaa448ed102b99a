"""Walks through directories that others may change meanwhile, of any depth."""

import errno
import os
from collections.abc import Generator
from typing import NamedTuple

OPEN = 64
"""Directories that are open at once: the deepest ones."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Level(NamedTuple):
    """A directory on the way down. ``identity``: device and inode. ``todo``: names of the directories in it."""

    name: str
    identity: tuple[int, int]
    todo: list[str]


def below(directory: int) -> Generator[tuple[int, str], None, None]:
    """What is below an open directory: the descriptor of the directory that it is in, and its name there.

    A directory comes after what is in it. Links are not followed, and what is removed meanwhile does not come. Raises
    OSError, ESTALE for a directory that was moved while the walk was more than ``OPEN`` levels below it.
    """
    levels: list[_Level] = []
    opened: dict[int, int] = {}  # of the deepest levels, by their number
    try:
        entered: tuple[str, int] | None = ("", os.open(".", _DIRECTORY, dir_fd=directory))
        while entered or levels:
            if entered:
                name, descriptor = entered
                opened[len(levels)] = descriptor
                levels.append(_Level(name, _identity(descriptor), []))
                if len(levels) > OPEN:
                    os.close(opened.pop(len(levels) - OPEN - 1))
                with os.scandir(descriptor) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            levels[-1].todo.append(entry.name)
                        else:
                            yield descriptor, entry.name
            depth = len(levels) - 1
            if levels[-1].todo:
                entered = _entered(opened[depth], levels[-1].todo.pop())
                continue
            entered = None
            name = levels.pop().name
            if levels:
                if depth - 1 not in opened:
                    opened[depth - 1] = _above(opened[depth], levels[-1].identity)
                yield opened[depth - 1], name
            os.close(opened.pop(depth))
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def _entered(directory: int, name: str) -> tuple[str, int] | None:
    """None for what is there no longer, or is no directory any more."""
    try:
        return name, os.open(name, _DIRECTORY, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise


def _above(directory: int, expected: tuple[int, int]) -> int:
    found = os.open("..", _DIRECTORY, dir_fd=directory)
    if _identity(found) != expected:
        os.close(found)
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
    return found


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
