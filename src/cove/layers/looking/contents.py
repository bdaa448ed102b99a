"""What a stack of layers holds, layer by layer: for looking into images.

Each layer is read where it lies: a directory, or an image, which is mounted for as long as the job lasts.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from cove.errors import InvalidArgument
from cove.kernel import layer_images
from cove.layers.tree import OPAQUE, is_whiteout, open_directory

MOST_ENTRIES = 1_000_000
"""Of all layers of one image together; each takes some 500 bytes of the job's memory."""
PIECE = 1 << 20


@dataclass(slots=True)
class Entry:
    """``layer``: from 0, the lowest. ``size``: bytes of content, which a second name of the same file has not."""

    layer: int
    status: os.stat_result
    size: int
    target: str = ""


@dataclass(slots=True)
class Hidden:
    """A path of a lower layer that a higher one makes useless. ``by``: that layer. ``path``: absolute."""

    path: bytes
    entry: Entry
    by: int
    deleted: bool


@dataclass
class Stack:
    """``visible``: what a container sees, by absolute path. ``hidden``: what it does not. ``added``: bytes and
    entries by layer.
    """

    visible: dict[bytes, Entry] = field(default_factory=dict)
    hidden: list[Hidden] = field(default_factory=list)
    added: list[tuple[int, int]] = field(default_factory=list)


Tops = Mapping[str, int]
"""The top directory of each layer, open."""


def read(layers: Sequence[str], tops: Tops) -> Stack:
    """``layers``: the lowest first. Raises OSError, InvalidArgument when there are too many entries."""
    stack = Stack()
    below: dict[bytes, set[bytes]] = {}
    for number, layer in enumerate(layers):
        _Reading(stack, below, number).directory(b"", tops[layer])
    return stack


@contextmanager
def opened(layers: Iterable[str]) -> Iterator[Tops]:
    """The layers, while the context lasts; images are mounted, and attached nowhere. Raises OSError."""
    with ExitStack() as stack:
        tops = {}
        for layer in layers:
            if layer not in tops:
                tops[layer] = _open(layer)
                stack.callback(os.close, tops[layer])
        yield tops


def _open(layer: str) -> int:
    if not layer_images.is_image(layer):
        return os.open(layer, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    mount = layer_images.mount(layer)
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount)
    finally:
        os.close(mount)


class _Reading:
    """One layer on top of what was read before. ``below``: the names in each directory."""

    def __init__(self, stack: Stack, below: dict[bytes, set[bytes]], number: int) -> None:
        self._stack = stack
        self._below = below
        self._number = number
        self._seen: set[int] = set()
        stack.added.append((0, 0))

    def directory(self, path: bytes, descriptor: int) -> None:
        if _is_opaque(descriptor):
            for name in list(self._below.get(path, ())):
                self._hide(path + b"/" + name, deleted=True)
        with os.scandir(descriptor) as entries:
            names = sorted(os.fsencode(entry.name) for entry in entries)
        for name in names:
            self._entry(path, name, descriptor)

    def _entry(self, parent: bytes, name: bytes, descriptor: int) -> None:
        path = parent + b"/" + name
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        if is_whiteout(status):
            self._hide(path, deleted=True)
            return
        is_directory = stat.S_ISDIR(status.st_mode)
        known = self._stack.visible.get(path)
        if known is not None and not (is_directory and stat.S_ISDIR(known.status.st_mode)):
            self._hide(path, deleted=False)
        self._show(parent, name, path, status, descriptor)
        if is_directory:
            inside = open_directory(descriptor, name)
            try:
                self.directory(path, inside)
            finally:
                os.close(inside)

    def _show(self, parent: bytes, name: bytes, path: bytes, status: os.stat_result, descriptor: int) -> None:
        again = stat.S_ISREG(status.st_mode) and status.st_nlink > 1 and status.st_ino in self._seen
        self._seen.add(status.st_ino)
        size = 0 if again or not stat.S_ISREG(status.st_mode) else status.st_size
        target = os.readlink(name, dir_fd=descriptor) if stat.S_ISLNK(status.st_mode) else b""
        entry = Entry(self._number, status, size, os.fsdecode(target).encode("utf-8", "replace").decode())
        self._stack.visible[path] = entry
        self._below.setdefault(parent, set()).add(name)
        total, count = self._stack.added[self._number]
        self._stack.added[self._number] = (total + size, count + 1)
        if len(self._stack.visible) + len(self._stack.hidden) > MOST_ENTRIES:
            raise InvalidArgument(f"more than {MOST_ENTRIES} files")

    def _hide(self, path: bytes, *, deleted: bool) -> None:
        """A path and what is below it."""
        for name in self._below.pop(path, ()):
            self._hide(path + b"/" + name, deleted=True)
        entry = self._stack.visible.pop(path, None)
        if entry is not None:
            parent, _, name = path.rpartition(b"/")
            self._below.get(parent, set()).discard(name)
            if entry.layer != self._number:
                self._stack.hidden.append(Hidden(path, entry, self._number, deleted))


def _is_opaque(descriptor: int) -> bool:
    try:
        return os.getxattr(descriptor, OPAQUE) == b"y"
    except OSError:
        return False


def content(top: int, path: bytes) -> str:
    """A digest of a regular file of a layer. Raises OSError."""
    parts = path.strip(b"/").split(b"/")
    descriptor = os.dup(top)
    try:
        for part in parts[:-1]:
            deeper = open_directory(descriptor, part)
            os.close(descriptor)
            descriptor = deeper
        return _hashed(os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor))
    finally:
        os.close(descriptor)


def _hashed(file: int) -> str:
    checksum = hashlib.sha256()
    try:
        while piece := os.read(file, PIECE):
            checksum.update(piece)
    finally:
        os.close(file)
    return checksum.hexdigest()


def shown(path: bytes) -> str:
    """A path for people; bytes that are no UTF-8 are replaced."""
    return path.decode("utf-8", "replace")
