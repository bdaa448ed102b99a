"""Events on files, as a descriptor that becomes readable (inotify)."""

import os
import struct
from typing import NamedTuple

from cove.kernel.libc import check, libc
from cove.lean import ctypes

MODIFY = 0x002
CLOSE_WRITE = 0x008
MOVED_FROM = 0x040
MOVED_TO = 0x080
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
IGNORED = 0x8000
OVERFLOW = 0x4000

_HEADER = struct.Struct("iIII")
_BUFFER = 1 << 16

_inotify_init1 = libc.inotify_init1
_inotify_init1.argtypes = [ctypes.c_int]
_inotify_add_watch = libc.inotify_add_watch
_inotify_add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
_inotify_rm_watch = libc.inotify_rm_watch
_inotify_rm_watch.argtypes = [ctypes.c_int, ctypes.c_int]


class Event(NamedTuple):
    """``watch``: what ``add`` returned (-1 on OVERFLOW: events were lost). ``name``: of the entry, in a directory."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One queue of events; non-blocking and close-on-exec. Give ``fileno()`` to an event loop, then ``read``."""

    def __init__(self) -> None:
        self._descriptor = check(_inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")

    def fileno(self) -> int:
        return self._descriptor

    def add(self, path: str | os.PathLike[str], mask: int) -> int:
        """Watch a file or directory; returns the watch. Raises OSError (ENOENT, ENOSPC: too many watches)."""
        name = os.fspath(path)
        return check(_inotify_add_watch(self._descriptor, os.fsencode(name), mask), "inotify_add_watch", name)

    def remove(self, watch: int) -> None:
        check(_inotify_rm_watch(self._descriptor, watch), "inotify_rm_watch")

    def read(self) -> list[Event]:
        """The events that are waiting; none waiting is an empty list."""
        try:
            data = os.read(self._descriptor, _BUFFER)
        except BlockingIOError:
            return []
        return _parse(data)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "Inotify":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _parse(data: bytes) -> list[Event]:
    events = []
    offset = 0
    while offset < len(data):
        watch, mask, _cookie, length = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size
        name = data[offset : offset + length].split(b"\0", 1)[0]
        events.append(Event(watch, mask, os.fsdecode(name)))
        offset += length
    return events
