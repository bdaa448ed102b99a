"""Old files of a log, compressed by a child of the shim, one at a time.

The child only writes ``path.gz.tmp``; names are given by the shim, when the child has ended, so that a rotation
meanwhile cannot confuse them. A child that is not done when the container ends is killed, and the file stays as it was
until the next run. The compressed file keeps the time of the last record as its modification time.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from cove.kernel import namespaces, processes
from cove.runtime.logs.rotation import RotatedFile
from cove.runtime.loop import Loop

_CHUNK = 1 << 18
_NICE = 10


class Compression:
    """``on_idle``: called when the last child has ended."""

    def __init__(self, loop: Loop, file: RotatedFile, on_idle: Callable[[], None]) -> None:
        self._loop = loop
        self._file = file
        self._on_idle = on_idle
        self._temporary = f"{file.path}.gz.tmp"
        self._child = 0
        self._number = 0
        self._ending = False
        with suppress(OSError):
            os.unlink(self._temporary)
        self._begin()

    @property
    def idle(self) -> bool:
        return not self._child

    def rotated(self) -> None:
        """Every number is one higher now; a file that is no longer kept needs no compression."""
        self._number += 1
        if not self._child:
            self._begin()
        elif self._number > self._file.last_kept():
            self._kill()

    def finish(self) -> None:
        """Begin no more."""
        self._ending = True
        self._kill()

    def _kill(self) -> None:
        if self._child:
            with suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)

    def _begin(self) -> None:
        """Compress the oldest file that is not, if there is one."""
        for number in range(self._file.last_kept(), 0, -1):
            plain = self._file.names(number)[0]
            if os.path.lexists(plain):
                self._fork(plain, number)
                return

    def _fork(self, plain: str, number: int) -> None:
        source = os.open(plain, os.O_RDONLY | os.O_CLOEXEC)  # by the child its name may be another file's
        try:
            with namespaces.children_beside():
                child = os.fork()
            if child == 0:
                _become(source, self._temporary)
        except OSError:  # too many processes: the next rotation tries again
            return
        finally:
            os.close(source)
        self._child, self._number = child, number
        self._loop.child(child, lambda: None, self._ended)

    def _ended(self, status: int) -> None:
        self._child = 0
        plain, compressed = self._file.names(self._number)
        with suppress(OSError):
            if status == 0 and self._number <= self._file.last_kept() and not self._ending:
                os.rename(self._temporary, compressed)
                os.unlink(plain)
            else:
                os.unlink(self._temporary)
        if self._ending:
            self._on_idle()
        elif status == 0:
            self._begin()


def _become(source: int, temporary: str) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        processes.set_name("cove-compress")
        processes.close_all_but([0, 1, 2, source])
        processes.set_parent_death_signal(signal.SIGKILL)
        os.nice(_NICE)
        compress(source, temporary)
        code = 0
    finally:
        os._exit(code)


def compress(plain: int, compressed: str) -> None:
    """Write a gzip file with the modification time of the other one, a descriptor. Raises OSError."""
    import zlib  # in the child: the shim never needs it

    with open(plain, "rb", closefd=False) as source, open(compressed, "wb", opener=_private) as target:
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)  # 31: a window of 32 KiB, with gzip's header
        while chunk := source.read(_CHUNK):
            target.write(packer.compress(chunk))
        target.write(packer.flush())
        target.flush()
        status = os.fstat(source.fileno())
        os.utime(target.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o640)
