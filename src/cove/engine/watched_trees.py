"""Sizes of directory trees that are kept by what the kernel tells of changes: only directories with changes are read.

Each directory is watched (inotify) for one event. After that it is read again, and watched again, when somebody asks
for the size. So nothing is done between two questions, however much is written, and the queue of events has a bound.
A file may change unseen by a second name outside of the tree, or one that comes and goes between two questions.
"""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from cove.kernel import inotify, overlay
from cove.kernel.inotify import Inotify

MOST = 2048
"""Directories of one tree. What has more is walked."""

MOST_OF_ALL = 8000
"""Directories of all trees: with two events each they fit into the kernel's queue (fs.inotify.max_queued_events)."""

SMALL = 64
"""Directories of a tree that is added up in less time than it takes to ask a thread."""

_ONCE = 0x80000000  # IN_ONESHOT
_CHANGES = (
    inotify.MODIFY
    | inotify.CREATE
    | inotify.DELETE
    | inotify.MOVED_FROM
    | inotify.MOVED_TO
    | inotify.DELETE_SELF
    | inotify.MOVE_SELF
    | _ONCE
)


class TooLargeError(Exception):
    """A tree cannot be watched: it has too many directories, or the kernel has no watches left."""


class _Directory:
    """Bytes: ``single``: of files with one name; ``linked``: of others, by inode. ``order``: when it was read."""

    __slots__ = ("below", "inode", "linked", "order", "path", "single", "tree", "watch")

    def __init__(self, tree: str, path: str, inode: int) -> None:
        self.tree = tree
        self.path = path
        self.inode = inode
        self.watch = -1
        self.order = 0
        self.single = 0
        self.linked: dict[int, int] = {}
        self.below: dict[str, _Directory] = {}


class _Tree(dict[str, _Directory]):
    """Directories by their paths. ``linked``: inodes that have been seen with several names.

    ``unsure``: one of these may have changed by a name in another directory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.linked: set[int] = set()
        self.unsure = False


class WatchedTrees:
    """Trees by name. Threads may ask at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inotify: Inotify | None = None
        with contextlib.suppress(OSError):  # the user has too many already
            self._inotify = Inotify()
        self._watched: dict[int, _Directory] = {}
        self._trees: dict[str, _Tree] = {}
        self._reads = 0

    def size(self, name: str, root: Path) -> int:
        """Bytes of all files below ``root``; one with several names counts once. Raises TooLargeError."""
        with self._lock:
            if self._inotify is None:
                raise TooLargeError
            self._take_events(self._inotify)
            for _ in range(3):  # a directory that has moved makes all that is known of its trees void
                with contextlib.suppress(_MovedError):
                    return self._measured(self._inotify, name, os.fspath(root))
            self._forget(name)
            raise TooLargeError

    def unchanged(self, name: str, root: Path) -> int | None:
        """The size, where nothing has changed since it was measured and the tree is small; else None.

        It reads no directory and waits for nobody, so that it may be asked without a thread.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            tree = self._trees.get(name)
            if self._inotify is None or tree is None or len(tree) > SMALL:
                return None
            self._take_events(self._inotify)
            tree = self._trees.get(name)  # which goes when events were lost
            if tree is None or any(each.watch < 0 for each in tree.values()):
                return None
            top = tree.get(os.fspath(root))
            return _sum(tree) if top is not None and os.stat(root).st_ino == top.inode else None
        except OSError:
            return None
        finally:
            self._lock.release()

    def forget(self, name: str) -> None:
        with self._lock:
            self._forget(name)

    def close(self) -> None:
        with self._lock:
            if self._inotify is not None:
                self._inotify.close()
                self._inotify = None

    def _take_events(self, events: Inotify) -> None:
        while found := events.read():
            for event in found:
                if event.mask & inotify.OVERFLOW:
                    for name in list(self._trees):
                        self._forget(name)
                elif (directory := self._watched.pop(event.watch, None)) is not None:
                    directory.watch = -1

    def _measured(self, events: Inotify, name: str, root: str) -> int:
        tree = self._trees.setdefault(name, _Tree())
        top = tree.get(root)
        try:
            inode = os.stat(root).st_ino
        except OSError:
            self._forget(name)
            return 0
        if top is None or top.inode != inode:
            self._forget(name)
            tree = self._trees.setdefault(name, _Tree())
            top = tree[root] = _Directory(name, root, inode)
        tree.unsure = False
        known, reads = len(tree.linked), self._reads
        self._read_all(events, tree, [each for each in tree.values() if each.watch < 0])
        if len(tree.linked) > known:  # what was a file with one name in another directory may be one of several here
            self._read_all(events, tree, [each for each in tree.values() if each.order <= reads])
        elif tree.unsure:
            self._read_all(events, tree, [each for each in tree.values() if each.linked])
        return _sum(tree)

    def _read_all(self, events: Inotify, tree: _Tree, directories: Iterable[_Directory]) -> None:
        for directory in directories:
            if tree.get(directory.path) is directory:  # else it went with one above it
                self._read(events, tree, directory)

    def _read(self, events: Inotify, tree: _Tree, top: _Directory) -> None:
        todo = [top]
        while todo:
            directory = todo.pop()
            if not self._watch(events, directory):
                continue
            known, directory.below = directory.below, {}
            tree.unsure = tree.unsure or bool(directory.linked)
            directory.single, directory.linked = 0, {}
            self._reads += 1
            directory.order = self._reads
            for name, path, found in _entries(directory, tree.linked):
                child = known.pop(name, None)
                if child is None or child.inode != found:
                    if child is not None:
                        self._drop(tree, child)
                    child = tree[path] = _Directory(directory.tree, path, found)
                    todo.append(child)
                directory.below[name] = child
            for gone in known.values():
                self._drop(tree, gone)

    def _watch(self, events: Inotify, directory: _Directory) -> bool:
        """Before it is read, so that nothing is missed. Whether it is there. Raises TooLargeError."""
        if len(self._trees[directory.tree]) > MOST or len(self._watched) >= MOST_OF_ALL:
            self._forget(directory.tree)
            raise TooLargeError
        try:
            watch = events.add(directory.path, _CHANGES)
        except FileNotFoundError:
            return False
        except OSError as error:
            self._forget(directory.tree)
            raise TooLargeError from error
        other = self._watched.get(watch)
        if other is not None and other is not directory:
            self._forget(other.tree)
            self._forget(directory.tree)
            raise _MovedError
        directory.watch = watch
        self._watched[watch] = directory
        return True

    def _drop(self, tree: _Tree, top: _Directory) -> None:
        todo = [top]
        while todo:
            directory = todo.pop()
            todo += directory.below.values()
            if tree.get(directory.path) is directory:
                del tree[directory.path]
            self._unwatch(directory)

    def _forget(self, name: str) -> None:
        for directory in self._trees.pop(name, {}).values():
            self._unwatch(directory)

    def _unwatch(self, directory: _Directory) -> None:
        if directory.watch >= 0 and self._inotify is not None:
            self._watched.pop(directory.watch, None)
            with contextlib.suppress(OSError):  # the kernel has dropped it with the directory
                self._inotify.remove(directory.watch)
            directory.watch = -1


class _MovedError(Exception):
    """A directory is found in another place than it is known for."""


def disk_size(found: os.stat_result) -> int:
    """What a file takes: a disk has holes, and small files may lie in their inodes."""
    return min(found.st_size, found.st_blocks * 512) if found.st_blocks else found.st_size


def tells_of_overlays(place: Path) -> bool:
    """Whether who watches an upper directory is told of what is written through the overlay: newer kernels do that.

    Tried once, in a directory of ``place``; False where it cannot be.
    """
    if not overlay.HAS_LAYER_PARAMETERS:
        return False
    with contextlib.suppress(OSError), tempfile.TemporaryDirectory(dir=place) as scratch:
        for name in ("lower", "upper", "work"):
            Path(scratch, name).mkdir()
        Path(scratch, "upper", "file").touch()
        mount = overlay.mount([f"{scratch}/lower"], f"{scratch}/upper", f"{scratch}/work", "")
        try:
            with Inotify() as events:
                events.add(f"{scratch}/upper", inotify.MODIFY)
                file = os.open("file", os.O_WRONLY | os.O_CLOEXEC, dir_fd=mount)
                os.write(file, b"x")
                os.close(file)
                return bool(events.read())
        finally:
            os.close(mount)
    return False


def _entries(directory: _Directory, linked: set[int]) -> list[tuple[str, str, int]]:
    """The directories in it: name, path, inode. Files are noted; what goes meanwhile is passed over."""
    below = []
    with contextlib.suppress(OSError), os.scandir(directory.path) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    below.append((entry.name, entry.path, entry.inode()))
                    continue
                found = entry.stat(follow_symlinks=False)
                if found.st_nlink > 1:
                    linked.add(found.st_ino)
                if found.st_ino in linked:
                    directory.linked[found.st_ino] = disk_size(found)
                else:
                    directory.single += disk_size(found)
    return below


def _sum(tree: _Tree) -> int:
    """Of files with several names what was read last counts."""
    linked: dict[int, int] = {}
    for directory in sorted(tree.values(), key=lambda each: each.order):
        linked |= directory.linked
    return sum(directory.single for directory in tree.values()) + sum(linked.values())
