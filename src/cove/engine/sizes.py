"""What directories take on disk, and what is remembered of it."""

import asyncio
import contextlib
import os
from collections.abc import Container, Hashable, Iterator
from pathlib import Path


def tree_size(root: Path) -> int:
    """Bytes of all that lies below a directory and is none itself; a file with several names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for found in _below(root):
        if found.st_nlink > 1:
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
        total += min(found.st_size, found.st_blocks * 512) if found.st_blocks else found.st_size  # a disk has holes
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
    """Sizes of directories by name, measured again only when something may have changed in them.

    Who asks for the same directory while it is being measured shares the answer.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[Hashable, int]] = {}
        self._measuring: dict[str, asyncio.Task[int]] = {}

    async def of(self, name: str, root: Path, mark: Hashable | None) -> int:
        """Bytes below ``root``. ``mark``: as long as it is the same nothing has changed; None: something always may."""
        known = self._known.get(name)
        if known is not None and mark is not None and known[0] == mark:
            return known[1]
        task = self._measuring.get(name)
        if task is None:
            task = asyncio.create_task(self._measure(name, root, mark))
            self._measuring[name] = task
            task.add_done_callback(lambda _: self._measuring.pop(name, None))
        return await asyncio.shield(task)

    async def _measure(self, name: str, root: Path, mark: Hashable | None) -> int:
        size = await asyncio.to_thread(tree_size, root)
        self._known[name] = (mark, size)
        return size

    def retain(self, there: Container[str]) -> None:
        """Forget the directories that are not ``there`` any more."""
        for name in [name for name in self._known if name not in there]:
            del self._known[name]
