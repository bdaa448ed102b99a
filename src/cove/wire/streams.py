"""What the engine and the server hand each other for long streams; nothing here is JSON."""

import socket
from collections.abc import AsyncIterator
from typing import NamedTuple

STDOUT = 1
STDERR = 2


class Stream(NamedTuple):
    """A connection to a program's streams: one end of a SOCK_STREAM pair, its other end held by the shim.

    Reading gives raw terminal bytes when ``tty``, else Docker's multiplexed frames. What is written is standard input;
    shutting down the sending side is its end of file. Who receives a Stream closes the socket. ``border``: nanoseconds
    since the epoch; what the log has up to then came before the stream, and nothing else did. 0 unless asked for.
    """

    socket: socket.socket
    tty: bool
    border: int = 0


class AttachOptions(NamedTuple):
    """``detach_keys``: Docker's syntax, empty is the default. ``after_log``: the log is shown first."""

    stdin: bool
    stdout: bool
    stderr: bool
    detach_keys: str
    after_log: bool = False


class LogEntry(NamedTuple):
    """One piece of output: a line with its newline, or a part of one.

    ``stream``: STDOUT or STDERR. ``time``: nanoseconds since the epoch. ``details``: attributes kept with the entry.
    """

    stream: int
    time: int
    line: bytes
    details: dict[str, str] | None = None


class LogSearch(NamedTuple):
    """Only lines in which ``pattern`` (Go's syntax) is found, and so many ``before`` and ``after`` each."""

    pattern: str
    ignore_case: bool
    before: int
    after: int


class LogOptions(NamedTuple):
    """``since`` and ``until``: nanoseconds since the epoch, or 0. ``tail``: lines, of a search finds; -1: all.

    ``removed``: of a container that is in the trash.
    """

    stdout: bool
    stderr: bool
    follow: bool
    since: int
    until: int
    tail: int
    removed: bool = False
    search: LogSearch | None = None


class Logs(NamedTuple):
    """Log entries in the order in which they were written, a batch per read; ``tty`` of the container."""

    tty: bool
    batches: AsyncIterator[list[LogEntry]]
