"""Appending to a log's newest file, and beginning a new one when it is full.

The files are ``path``, older ``path.1``, ``path.2``, … and, once compressed, ``path.1.gz``, …. All renaming is done
here, in one thread, so that a number means one file at any moment.
"""

import os
import time
from typing import Protocol

_MODE = 0o640


class Format(Protocol):
    """What a file holds."""

    @property
    def header(self) -> bytes:
        """How a file begins."""

    def records(self, stream: str, data: bytes, when: int) -> bytes:
        """What is written for ``data`` of ``stream``, read at ``when``."""

    def fitting(self, records: bytes, room: int) -> int:
        """How much of ``records`` goes into a file with so much room: whole records, and one at least."""

    def whole(self, descriptor: int, size: int) -> int:
        """How many of a file's ``size`` bytes are whole records, which can be appended to."""


class Compression(Protocol):
    """Compresses old files; see ``compression``."""

    def rotated(self) -> None:
        """Every number is one higher now."""


class RotatedFile:
    """``max_size`` in bytes and ``max_file`` files bound the log; 0 is no bound.

    A full disk costs the log lines, never the container: a note of the loss follows as soon as there is room.
    """

    def __init__(self, path: str, format_: Format, max_size: int, max_file: int) -> None:
        """Opens the file. Raises OSError."""
        self.path = path
        self.compression: Compression | None = None
        self._format = format_
        self._max_size = max_size
        self._max_file = max_file
        self._lost = 0
        self._reason = ""
        self._file = -1
        self._size = 0
        self._open()
        self._cut(format_.whole(self._file, self._size))

    def _cut(self, whole: int) -> None:
        """Remove half a record, whose writer was killed."""
        if whole < self._size:
            os.ftruncate(self._file, whole)
            self._size = whole

    def append(self, stream: str, data: bytes, when: int) -> None:
        """Keep what ``Lines`` gave to keep together."""
        records = self._format.records(stream, data, when)
        while records:
            self._rotate_if_full()
            taken = self._format.fitting(records, self._room()) if self._max_size else len(records)
            self._write(records[:taken] if taken < len(records) else records)
            records = records[taken:]

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def last_kept(self) -> int:
        """The number of the oldest file after a rotation."""
        if self._max_file:
            return self._max_file - 1
        number = 1
        while any(os.path.lexists(name) for name in self.names(number)):
            number += 1
        return number

    def names(self, number: int) -> tuple[str, str]:
        """The names that an older file may have: as it was written, and compressed."""
        return f"{self.path}.{number}", f"{self.path}.{number}.gz"

    def _room(self) -> int:
        return self._max_size - self._size

    def _rotate_if_full(self) -> None:
        if self._max_size and self._size >= self._max_size:
            self._rotate()

    def _write(self, records: bytes) -> None:
        try:
            self._write_all(self._opening() + records)
            self._lost = 0
        except OSError as error:
            self._lost += records.count(b"\n")
            self._reason = error.strerror or str(error)

    def _write_all(self, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:] if written else data)
        except OSError:
            if written:
                os.ftruncate(self._file, self._size)  # half a record would end the log for every reader
            raise
        self._size += len(data)

    def _opening(self) -> bytes:
        """What goes before the next records: the beginning of a file, a note of what is lost."""
        begin = b"" if self._size else self._format.header
        if not self._lost:
            return begin
        note = f"cove: {self._lost} lines of output are missing here: {self._reason}\n"
        return begin + self._format.records("stderr", note.encode(), time.time_ns())

    def _open(self) -> None:
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        if self._file >= 0:
            os.close(self._file)
        self._file = file
        self._size = os.fstat(file).st_size

    def _rotate(self) -> None:
        """Begin a new file; a log of one file is emptied instead. On failure the present one just grows."""
        try:
            if self._max_file == 1:
                os.ftruncate(self._file, 0)
                self._size = 0
                return
            for number in range(self.last_kept(), 0, -1):
                self._move_up(number)
            self._open()
        except OSError as error:
            self._reason = error.strerror or str(error)
            return
        if self.compression is not None:
            self.compression.rotated()

    def _move_up(self, number: int) -> None:
        """Give ``number`` to the file before it, if there is one."""
        newer = [name for name in self.names(number - 1) if os.path.lexists(name)] if number > 1 else [self.path]
        if not newer:
            return
        for name in (*self.names(number), *newer[:-1]):
            if os.path.lexists(name):
                os.unlink(name)
        os.rename(newer[-1], self.names(number)[newer[-1].endswith(".gz")])
