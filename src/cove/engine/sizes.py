"""What directories take on disk, and what is remembered of it."""

import asyncio
import contextlib
import functools
import os
from collections.abc import Callable, Container, Hashable, Iterator
from pathlib import Path

from cove.engine.watched_trees import TooLargeError, WatchedTrees, disk_size


def tree_size(root: Path) -> int:
    """Bytes of all that lies below a directory and is none itself; a file with several names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for found in _below(root):
        if found.st_nlink > 1:
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
        total += disk_size(found)
    return total


def _below(root: Path) -> Iterator[os.stat_result]:
    """What is not a directory. What goes away meanwhile, or cannot be read, is passed over."""
    directories = [os.fspath(root)]
    while directories:
        with contextlib.suppress(OSError), os.scandir(directories.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(entry.path)
                    else:
                        yield entry.stat(follow_symlinks=False)


class Sizes:
    """Sizes of directories by name; where something may have changed, only what has is read again.

    Who asks for the same directory while it is being measured shares the answer. ``watchable``: whether the kernel
    tells of changes in these directories, asked once, in a thread; else, and where there is too much to watch, all is
    walked.
    """

    def __init__(self, watchable: Callable[[], bool] = lambda: True) -> None:
        self._watchable = functools.cache(watchable)
        self._trees = WatchedTrees()
        self._walked: set[str] = set()
        self._known: dict[str, tuple[Hashable, int]] = {}
        self._measuring: dict[str, asyncio.Task[int]] = {}

    def watches(self, name: str) -> bool:
        """Whether the kernel tells of changes in this directory, so that its size is always exact."""
        return name not in self._walked

    async def of(self, name: str, root: Path, mark: Hashable | None) -> int:
        """Bytes below ``root``. ``mark``: as long as it is the same nothing has changed; None: something always may."""
        known = self._known.get(name)
        if known is not None and mark is not None and known[0] == mark:
            return known[1]
        task = self._measuring.get(name)
        if task is None and (size := self._trees.unchanged(name, root)) is not None:
            return size
        if task is None:
            task = asyncio.create_task(self._measure(name, root, mark))
            self._measuring[name] = task
            task.add_done_callback(lambda _: self._measuring.pop(name, None))
        return await asyncio.shield(task)

    async def _measure(self, name: str, root: Path, mark: Hashable | None) -> int:
        size = await asyncio.to_thread(self._size, name, root)
        self._known[name] = (mark, size)
        return size

    def _size(self, name: str, root: Path) -> int:
        if name not in self._walked and self._watchable():
            with contextlib.suppress(TooLargeError):
                return self._trees.size(name, root)
        self._walked.add(name)
        return tree_size(root)

    def retain(self, there: Container[str]) -> None:
        """Forget the directories that are not ``there`` any more."""
        for name in [name for name in self._known if name not in there]:
            del self._known[name]
            self._walked.discard(name)
            self._trees.forget(name)
