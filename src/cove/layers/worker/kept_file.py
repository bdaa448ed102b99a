"""A new file that is written beside other work, past the page cache where the file system can do that.

A pull writes each layer twice, as it came and as a tar. Through the page cache that is a copy of every byte and a page
for it, a third of all the processor time of a pull, for bytes of which most are not looked at soon.
"""

import errno
import fcntl
import mmap
import os
import queue
import threading

BUFFER = 1 << 20
BUFFERS = 3
"""Being filled, being written, and one between them."""
_BLOCK = 4096
"""What offsets, lengths and addresses of direct writes are multiples of, on any disk (open(2), O_DIRECT)."""


class KeptFile:
    """``write`` to it from one thread, ``end`` it, then ``close`` it. Raises OSError, a late one at the next call."""

    def __init__(self, path: str, *, direct: bool = True) -> None:
        """``direct``: past the page cache if that can be; not for what is read again at once."""
        self._file, self._direct = _create(path, direct)
        self._free: queue.Queue[mmap.mmap] = queue.Queue()
        for _ in range(BUFFERS):
            self._free.put(mmap.mmap(-1, BUFFER))
        self._filled: queue.Queue[tuple[mmap.mmap, int] | None] = queue.Queue()
        self._error: OSError | None = None
        self._buffer = self._free.get()
        self._used = 0
        self._thread = threading.Thread(target=self._run, name="file", daemon=True)
        self._thread.start()

    def write(self, piece: bytes) -> None:
        """Take the bytes; they are written later."""
        view = memoryview(piece)
        while view:
            count = min(len(view), BUFFER - self._used)
            self._buffer[self._used : self._used + count] = view[:count]
            self._used += count
            view = view[count:]
            if self._used == BUFFER:
                self._filled.put((self._buffer, BUFFER))
                self._buffer, self._used = self._free.get(), 0
                self._check()

    def end(self) -> None:
        """Nothing more comes."""
        if self._used:
            self._filled.put((self._buffer, self._used))
        self._filled.put(None)

    def close(self, *, sync: bool = True) -> None:
        """Wait until all is written, and on disk if it is to be."""
        self._thread.join()
        try:
            self._check()
            if sync:
                os.fsync(self._file)
        finally:
            os.close(self._file)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (filled := self._filled.get()) is not None:
            buffer, count = filled
            if self._error is None:
                try:
                    self._put(memoryview(buffer)[:count])
                except OSError as error:
                    self._error = error
            self._free.put(buffer)

    def _put(self, view: memoryview) -> None:
        whole = len(view) // _BLOCK * _BLOCK if self._direct else len(view)
        done = 0
        while done < whole:
            try:
                done += os.write(self._file, view[done:whole])
            except OSError as error:
                if error.errno != errno.EINVAL or not self._direct:
                    raise
                self._buffered()
            if self._direct and done % _BLOCK:  # a full disk, about to say so
                self._buffered()
        if done < len(view):
            self._buffered()
            self._put(view[done:])

    def _buffered(self) -> None:
        """Go on through the page cache."""
        self._direct = False
        fcntl.fcntl(self._file, fcntl.F_SETFL, 0)


def _create(path: str, direct: bool) -> tuple[int, bool]:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    if direct:
        try:
            fcntl.fcntl(file, fcntl.F_SETFL, os.O_DIRECT)
        except OSError as error:
            if error.errno != errno.EINVAL:
                os.close(file)
                raise
            direct = False
    return file, direct
