"""A directory tree to a tar, while others may be writing to it.

Names are sorted and each is looked up once, from a descriptor of its directory and without following links, so that a
tree that changes meanwhile gives an archive of some of its states, and never one of something outside of it.
"""

import os
import stat
from collections.abc import Callable, Iterator

from cove.kernel import file_data
from cove.layers.listing import sorted_names
from cove.layers.tar.header import KINDS, Header
from cove.layers.tar.sparse import MAX_RUNS
from cove.layers.tar.writer import Writer
from cove.layers.tree import OPAQUE, is_whiteout
from cove.layers.unpack import OPAQUE_WHITEOUT, WHITEOUT

PIECE = 1 << 18
LEAST_HOLES = 1 << 16
"""Bytes that must be holes for a file to be written as a sparse one."""

_CAPABILITY = b"security.capability"
_ALIASES = b"trusted.SGI_ACL_"
"""Under which XFS lists what it lists as system.posix_acl_* too."""
_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

MOUNTED_FILES = frozenset((b"etc/hostname", b"etc/hosts", b"etc/resolv.conf"))
"""Where the engine mounts files; an empty one in the upper directory was made for that."""


def pack(descriptor: int, name: bytes, writer: Writer, *, whole: bool = False) -> None:
    """Write what a descriptor (O_PATH, which is closed) leads to, and all below it. ``name``: of the topmost entry.

    An empty name leaves the topmost directory itself out, as ``docker export`` does. ``whole``: with every extended
    attribute, access control lists among them. Raises OSError.
    """
    _run(_Packer(writer, whole), descriptor, name)


Skip = Callable[[int, bytes, os.stat_result], bool]
"""Told a descriptor (O_PATH), a path from the top and what is there: whether a layer is to be without it."""


def pack_layer(upper: str, writer: Writer, skip: Skip = lambda place, name, found: False) -> None:
    """Write an overlay's upper directory as a layer, with the whiteouts of the image specification. Raises OSError."""
    _run(_LayerPacker(writer, skip), os.open(upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), b"")


def _run(packer: "_Packer", descriptor: int, name: bytes) -> None:
    todo: list[tuple[int, Iterator[bytes], bytes]] = []
    try:
        _push(todo, packer.add(descriptor, name), name)
        while todo:
            directory, names, above = todo[-1]
            child = next(names, None)
            if child is None:
                os.close(todo.pop()[0])
                continue
            try:
                found = os.open(child, _PLACE, dir_fd=directory)
            except FileNotFoundError:  # removed since it was listed
                continue
            _push(todo, packer.add(found, above + child), above + child)
    finally:
        for directory, _, _ in todo:
            os.close(directory)


def _push(todo: list[tuple[int, Iterator[bytes], bytes]], directory: int | None, name: bytes) -> None:
    if directory is None:
        return
    above = name if not name or name.endswith(b"/") else name + b"/"
    todo.append((directory, sorted_names(directory), above))


class _Packer:
    def __init__(self, writer: Writer, whole: bool = False) -> None:
        self._writer = writer
        self._whole = whole
        self._linked: dict[tuple[int, int], bytes] = {}

    def add(self, place: int, name: bytes) -> int | None:
        """Write one entry; a descriptor to list when it is a directory. ``place`` is closed."""
        try:
            found = os.fstat(place)
            kind = KINDS.get(stat.S_IFMT(found.st_mode))
            if kind == b"5":
                if name:
                    self._writer.entry(self._header(name if name.endswith(b"/") else name + b"/", kind, found, place))
                return os.open(b".", _LISTED, dir_fd=place)
            if kind is not None:
                self._plain(place, name, kind, found)
            return None
        finally:
            os.close(place)

    def _plain(self, place: int, name: bytes, kind: bytes, found: os.stat_result) -> None:
        first = self._linked.setdefault((found.st_dev, found.st_ino), name) if found.st_nlink > 1 else name
        if kind != b"2" and first != name:
            header = _header(name, kind, found, {})
            header.kind, header.link, header.size = b"1", first, 0
            self._writer.entry(header)
        elif kind == b"0" and found.st_size:
            self._file(place, name, found)
        else:  # an empty file is not even opened: in /proc that can have effects
            header = self._header(name, kind, found, place)
            if kind == b"2":
                header.link = os.readlink(b"", dir_fd=place)
            self._writer.entry(header)

    def _file(self, place: int, name: bytes, found: os.stat_result) -> None:
        """The size's bytes: cut when it has grown, filled up with zeros when it has shrunk; holes are left out."""
        file = os.open(b"/proc/self/fd/%d" % place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            header = _header(name, b"0", found, _xattrs(file, self._whole))
            sparse = found.st_size - found.st_blocks * 512 >= LEAST_HOLES
            runs = [(0, header.size)]
            if sparse:
                runs = header.data_runs = list(file_data.runs(file, header.real_size))
                header.size = sum(length for _, length in runs)
                if len(runs) >= MAX_RUNS:
                    runs, header.data_runs, header.size = [(0, header.real_size)], None, header.real_size
            self._writer.entry(header)
            for offset, length in runs:
                if sparse:
                    os.lseek(file, offset, os.SEEK_SET)
                self._data(file, length)
        finally:
            os.close(file)

    def _data(self, file: int, left: int) -> None:
        while left:
            piece = os.read(file, min(left, PIECE)) or bytes(min(left, PIECE))
            self._writer.data(piece)
            left -= len(piece)

    def _header(self, name: bytes, kind: bytes, found: os.stat_result, place: int) -> Header:
        place_name = b"/proc/self/fd/%d" % place
        return _header(name, kind, found, _xattrs(place_name, self._whole) if kind in (b"0", b"5") else {})


class _LayerPacker(_Packer):
    """Overlayfs' marks become entries, and what the engine has made to mount on is left out."""

    def __init__(self, writer: Writer, skip: Skip) -> None:
        super().__init__(writer)
        self._skip = skip

    def add(self, place: int, name: bytes) -> int | None:
        found = os.fstat(place)
        if is_whiteout(found) or (name in MOUNTED_FILES and not found.st_size) or self._skip(place, name, found):
            os.close(place)
            if is_whiteout(found):
                above, slash, own = name.rpartition(b"/")
                self._mark(above + slash + WHITEOUT + own)
            return None
        directory = super().add(place, name)
        if directory is not None and name and _is_opaque(directory):
            self._mark(name + b"/" + OPAQUE_WHITEOUT)
        return directory

    def _mark(self, name: bytes) -> None:
        self._writer.entry(Header(name, b"0", 0, 0, 0, 0, 0, b"", 0, 0, 0))


def _is_opaque(directory: int) -> bool:
    try:
        return os.getxattr(directory, OPAQUE) == b"y"
    except OSError:
        return False


def _header(name: bytes, kind: bytes, found: os.stat_result, xattrs: dict[bytes, bytes]) -> Header:
    size = found.st_size if kind == b"0" else 0
    device = found.st_rdev if kind in (b"3", b"4") else 0
    return Header(
        name=name,
        kind=kind,
        mode=found.st_mode,
        uid=found.st_uid,
        gid=found.st_gid,
        size=size,
        mtime=found.st_mtime_ns,
        link=b"",
        major=os.major(device),
        minor=os.minor(device),
        real_size=size,
        xattrs=xattrs,
    )


def _xattrs(path: int | bytes, whole: bool) -> dict[bytes, bytes]:
    """File capabilities and what users set; the rest belongs to the machine, unless the ``whole`` is wanted."""
    kept: dict[bytes, bytes] = {}
    try:
        for name in sorted(map(os.fsencode, os.listxattr(path))):  # XFS lists them as they were set
            if _is_kept(name, whole):
                kept[name] = os.getxattr(path, name)
    except OSError:  # a file system without them, or one that went meanwhile
        pass
    return kept


def _is_kept(name: bytes, whole: bool) -> bool:
    if whole:
        return not name.startswith(_ALIASES)
    return name == _CAPABILITY or (name.startswith(b"user.") and not name.startswith(b"user.overlay."))
