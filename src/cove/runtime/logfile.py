"""The log file of a container, in the form of Docker's ``json-file`` driver.

One JSON object per line: ``{"log":"text\\n","stream":"stdout","attrs":{…},"time":"2026-01-02T03:04:05.123456789Z"}``.
A line longer than 16 KiB is kept in pieces of that size, of which only the last ends in a newline; so is output whose
last line has none. Bytes that are not UTF-8 become U+FFFD, one each, and ``< > &`` are escaped, as Go's encoder does.
"""

import codecs
import os
import time
from collections.abc import Iterable
from io import BytesIO, StringIO
from json.encoder import encode_basestring  # in C

from cove.runtime.messages import LogTarget

PIECE = 16 * 1024
"""Bytes of one line that fit in one record (Docker's copier)."""

_MODE = 0o640
_LOG = '{"log":'


# What Go escapes and Python's encoder does not, or writes in another way. Some pass the encoder as lone surrogates,
# which decoded UTF-8 never holds.
_BACKSPACE, _FORM_FEED, _INVALID = "\udc08", "\udc0c", "\udcfd"
Escapes = tuple[tuple[str, str], ...]
_GO_ESCAPES: Escapes = (
    ("<", "\\u003c"),
    (">", "\\u003e"),
    ("&", "\\u0026"),
    ("\u2028", "\\u2028"),
    ("\u2029", "\\u2029"),
    (_BACKSPACE, "\\u0008"),
    (_FORM_FEED, "\\u000c"),
    (_INVALID, "\\ufffd"),
)


def _replace_each_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _INVALID * (error.end - error.start), error.end


codecs.register_error("cove.each-byte", _replace_each_byte)


class _Unfinished:
    """A stream's last line, as far as it was read. ``since``: when its first piece was logged, if one was."""

    __slots__ = ("data", "since")

    def __init__(self) -> None:
        self.data = b""
        self.since: str | None = None


class LogFile:
    """Appends output to the log and rotates it. A full disk costs the log lines, never the container."""

    def __init__(self, target: LogTarget) -> None:
        """Opens the file. Raises OSError."""
        self._path = target["path"]
        self._max_size = target["max_size"]
        self._max_file = target["max_file"]
        attributes = target.get("attributes")
        self._attributes = f',"attrs":{_attributes_json(attributes)}' if attributes else ""
        self._unfinished: dict[str, _Unfinished] = {}
        self._lost = 0
        self._reason = ""
        self._file = -1
        self._size = 0
        self._open()

    def write(self, stream: str, data: bytes) -> None:
        """Log ``data``, read just now from ``stream`` (``stdout`` or ``stderr``)."""
        unfinished = self._unfinished.setdefault(stream, _Unfinished())
        now = _timestamp()
        end = data.rfind(b"\n") + 1
        if end:
            self._complete(stream, unfinished, unfinished.data + data[:end] if unfinished.data else data[:end], now)
            unfinished.data = b""
        if end < len(data):
            unfinished.data += data[end:] if end else data
            self._pieces(stream, unfinished, now)

    def finish(self) -> None:
        """Log the last lines that have no newline, and close the file."""
        for stream, unfinished in self._unfinished.items():
            if unfinished.data:
                self._append(self._records(stream, [_decode(unfinished.data)], unfinished.since or _timestamp()))
        self._unfinished.clear()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _complete(self, stream: str, unfinished: _Unfinished, data: bytes, now: str) -> None:
        """Log whole lines; the first may be the last piece of one that was begun."""
        if unfinished.since is not None:
            end = data.index(b"\n") + 1
            self._lines(stream, data[:end], unfinished.since)
            unfinished.since = None
            data = data[end:]
        if data:
            self._lines(stream, data, now)

    def _lines(self, stream: str, data: bytes, when: str) -> None:
        if len(data) > PIECE and max(map(len, BytesIO(data))) > PIECE:
            pieces = [_decode(piece) for line in BytesIO(data) for piece in _split(line)]
            self._append(self._records(stream, pieces, when))
        else:
            text = _decode(data)
            lines = StringIO(text, newline="\n")  # splits at \n only
            self._append(self._records(stream, lines, when, _escapes_for(text)))

    def _pieces(self, stream: str, unfinished: _Unfinished, now: str) -> None:
        """Log what an endless line has in whole pieces."""
        whole = len(unfinished.data) // PIECE * PIECE
        if not whole:
            return
        unfinished.since = unfinished.since or now
        pieces = [_decode(unfinished.data[at : at + PIECE]) for at in range(0, whole, PIECE)]
        unfinished.data = unfinished.data[whole:]
        self._append(self._records(stream, pieces, unfinished.since))

    def _records(self, stream: str, lines: Iterable[str], when: str, escapes: Escapes = _GO_ESCAPES) -> bytes:
        rest = f',"stream":"{stream}"{self._attributes},"time":"{when}"}}\n'
        return (_LOG + _escape((rest + _LOG).join(map(encode_basestring, lines)), escapes) + rest).encode()

    def _append(self, records: bytes) -> None:
        while records:
            records = records[self._write(self._fitting(records)) :]

    def _fitting(self, records: bytes) -> bytes:
        """The records that go into the present file, after a rotation if it is full: it may pass its size by one."""
        if not self._max_size:
            return records
        if self._size >= self._max_size:
            self._rotate()
        room = self._max_size - self._size
        if len(records) <= room:
            return records
        return records[: records.index(b"\n", max(0, room - 1)) + 1]

    def _write(self, records: bytes) -> int:
        """Write records or, if the disk is full, lose them. Returns their length."""
        try:
            self._write_all(self._note_of_loss() + records)
            self._lost = 0
        except OSError as error:
            self._lost += records.count(b"\n")
            self._reason = error.strerror or str(error)
        return len(records)

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

    def _note_of_loss(self) -> bytes:
        if not self._lost:
            return b""
        note = f"cove: {self._lost} lines of output are missing here: {self._reason}\n"
        return self._records("stderr", [note], _timestamp())

    def _open(self) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        if self._file >= 0:
            os.close(self._file)
        self._file = file
        self._size = os.fstat(file).st_size

    def _rotate(self) -> None:
        """Begin a new file: ``path`` becomes ``path.1``, that ``path.2``, …; on failure the present one just grows."""
        try:
            if self._max_file == 1:
                os.ftruncate(self._file, 0)
                self._size = 0
                return
            for number in range(self._last_kept(), 0, -1):
                older = f"{self._path}.{number}"
                newer = f"{self._path}.{number - 1}" if number > 1 else self._path
                if os.path.lexists(newer):
                    os.rename(newer, older)
            self._open()
        except OSError as error:
            self._reason = error.strerror or str(error)

    def _last_kept(self) -> int:
        """The number of the oldest file after a rotation."""
        if self._max_file:
            return self._max_file - 1
        number = 1
        while os.path.lexists(f"{self._path}.{number}"):
            number += 1
        return number


def _decode(data: bytes) -> str:
    text = data.decode("utf-8", "cove.each-byte")
    if "\b" in text or "\f" in text:
        text = text.replace("\b", _BACKSPACE).replace("\f", _FORM_FEED)
    return text


def _escapes_for(text: str) -> Escapes:
    """Those that ``text`` needs: to look costs less than to replace nothing in the longer records."""
    return tuple(pair for pair in _GO_ESCAPES if pair[0] in text)


def _escape(text: str, escapes: Escapes = _GO_ESCAPES) -> str:
    for character, escaped in escapes:
        text = text.replace(character, escaped)
    return text


def _split(line: bytes) -> list[bytes]:
    """A line with its newline, in pieces; the newline does not count."""
    whole = (len(line) - 1) // PIECE * PIECE
    return [line[at : at + PIECE] for at in range(0, whole, PIECE)] + [line[whole:]]


def _attributes_json(attributes: dict[str, str]) -> str:
    """Sorted, as Go writes a map."""
    pairs = (
        f"{encode_basestring(_decode(key.encode()))}:{encode_basestring(_decode(value.encode()))}"
        for key, value in sorted(attributes.items())
    )
    return _escape("{" + ",".join(pairs) + "}")


def _timestamp() -> str:
    """Now, in UTC, with the nanoseconds' trailing zeros left out (Go's RFC3339Nano)."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}{fraction}Z"
