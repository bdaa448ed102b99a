"""Servers that take what log drivers send, and check each byte of it against the protocol."""

import contextlib
import itertools
import json
import queue
import re
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgpack

from cove.kernel import namespaces

PATIENCE = 20.0
T = TypeVar("T")

_RFC5424 = re.compile(
    rb"<(?P<pri>\d{1,3})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?(Z|[+-]\d\d:\d\d)) "
    rb"(?P<host>\S+) (?P<tag>\S+) (?P<pid>\d+) (?P<id>\S+) - (?P<text>.*)\n",
    re.DOTALL,
)
_RFC3164 = re.compile(
    rb"<(?P<pri>\d{1,3})>(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) ((?P<host>\S+) )?"
    rb"(?P<tag>\S+)\[(?P<pid>\d+)\]: (?P<text>.*)\n",
    re.DOTALL,
)


def syslog_message(data: bytes) -> dict[str, str]:
    """The parts of a message of RFC 5424 or 3164, which it must be."""
    found = _RFC5424.fullmatch(data) or _RFC3164.fullmatch(data)
    assert found is not None, data
    return {name: value.decode() for name, value in found.groupdict().items() if value is not None}


def in_namespace(path: Path | None, make: Callable[[], T]) -> T:
    """What ``make`` gives, made in a network namespace: a socket stays in it."""
    if path is None:
        return make()
    made: list[T] = []

    def enter() -> None:
        with path.open("rb") as file:
            namespaces.enter(file.fileno(), "network")
        made.append(make())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return made[0]


class LogServer:
    """What came, in order, from ``next``; a failure of the protocol is raised there."""

    def __init__(self) -> None:
        self.port = 0
        self._came: queue.Queue[Any] = queue.Queue()
        self._accepted: list[socket.socket] = []

    def next(self) -> Any:
        found = self._came.get(timeout=PATIENCE)
        if isinstance(found, BaseException):
            raise found
        return found

    def take(self, count: int) -> list[Any]:
        return [self.next() for _ in range(count)]

    @property
    def empty(self) -> bool:
        return self._came.empty()

    def _put(self, value: Any) -> None:
        self._came.put(value)

    def _accept(self, listener: socket.socket) -> socket.socket:
        connection, _address = listener.accept()
        self._accepted.append(connection)
        return connection

    @contextlib.contextmanager
    def _serving(self, listener: socket.socket, serve: Callable[[socket.socket], None]) -> Iterator["LogServer"]:
        if listener.family == socket.AF_INET:
            self.port = listener.getsockname()[1]

        def run() -> None:
            try:
                serve(listener)
            except OSError:
                pass  # closed at the end
            except BaseException as error:
                self._put(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            for ended in (listener, *self._accepted):
                with contextlib.suppress(OSError):
                    ended.shutdown(socket.SHUT_RDWR)
            if listener.type == socket.SOCK_DGRAM and listener.family == socket.AF_INET:
                with contextlib.suppress(OSError):
                    listener.sendto(b"", listener.getsockname())
            listener.close()
            thread.join(5)


def _listen(netns: Path | None, kind: int, port: int = 0) -> socket.socket:
    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", port))
        return made

    made = in_namespace(netns, make)
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


@contextlib.contextmanager
def datagrams(netns: Path | None, decode: Callable[[bytes], Any]) -> Iterator[LogServer]:
    """A UDP server. ``decode``: what a datagram is; None for a part of something."""
    server = LogServer()

    def serve(listener: socket.socket) -> None:
        while data := listener.recv(1 << 17):
            if (value := decode(data)) is not None:
                server._put(value)

    with server._serving(_listen(netns, socket.SOCK_DGRAM), serve):
        yield server


@contextlib.contextmanager
def unix_datagrams(path: Path, decode: Callable[[bytes], Any]) -> Iterator[LogServer]:
    server = LogServer()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(path))

    def serve(listener: socket.socket) -> None:
        while data := listener.recv(1 << 20):
            server._put(decode(data))

    try:
        with server._serving(listener, serve):
            yield server
    finally:
        path.unlink()


@contextlib.contextmanager
def lines(
    netns: Path | None,
    decode: Callable[[bytes], Any],
    end: bytes = b"\n",
    port: int = 0,
    tls: Any = None,
    path: Path | None = None,
) -> Iterator[LogServer]:
    """A server of messages that end with ``end``, over TCP, or with ``path`` over a local socket."""
    server = LogServer()

    def serve(listener: socket.socket) -> None:
        while True:
            connection = server._accept(listener)
            with connection if tls is None else tls.wrap_socket(connection, server_side=True) as stream:
                data = b""
                while more := stream.recv(65536):
                    *whole, data = (data + more).split(end)
                    for message in whole:
                        server._put(decode(message + end))

    listener = _listen(netns, socket.SOCK_STREAM, port) if path is None else _listen_locally(path)
    with server._serving(listener, serve):
        yield server


def _listen_locally(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


@contextlib.contextmanager
def length_framed(netns: Path | None, tls: ssl.SSLContext) -> Iterator[LogServer]:
    """RFC 5425: each message has its length before it, over TLS."""
    server = LogServer()

    def serve(listener: socket.socket) -> None:
        connection = server._accept(listener)
        with tls.wrap_socket(connection, server_side=True) as stream:
            data = b""
            while more := stream.recv(65536):
                data += more
                while found := re.match(rb"(\d+) ", data):
                    end = found.end() + int(found[1])
                    if len(data) < end:
                        break
                    server._put(syslog_message(data[found.end() : end]))
                    data = data[end:]

    with server._serving(_listen(netns, socket.SOCK_STREAM), serve):
        yield server


class Gelf:
    """Puts chunks together and unpacks them. ``forms``: how messages were packed; ``chunked``: how many in pieces."""

    def __init__(self) -> None:
        self._chunks: dict[bytes, dict[int, bytes]] = {}
        self.forms: set[str] = set()
        self.chunked = 0

    def datagram(self, data: bytes) -> dict[str, Any] | None:
        if data[:2] != b"\x1e\x0f":
            return self._whole(data)
        name, number, count = data[2:10], data[10], data[11]
        assert number < count <= 128 and len(data) <= 8192
        parts = self._chunks.setdefault(name, {})
        assert number not in parts
        parts[number] = data[12:]
        if len(parts) < count:
            return None
        self.chunked += 1
        return self._whole(b"".join(parts[at] for at in range(count)))

    def _whole(self, data: bytes) -> dict[str, Any]:
        self.forms.add({b"\x1f": "gzip", b"\x78": "zlib"}.get(data[:1], "plain"))
        return gelf_message(data)


def gelf_message(data: bytes) -> dict[str, Any]:
    """A GELF 1.1 message, packed or not; the fields that it must have are checked."""
    if data[:2] == b"\x1f\x8b":
        data = zlib.decompress(data, 31)
    elif data[:1] == b"\x78":
        data = zlib.decompress(data)
    message: dict[str, Any] = json.loads(data)
    known = {"version", "host", "short_message", "full_message", "timestamp", "level", "facility", "line", "file"}
    assert message["version"] == "1.1" and message["host"] and message["short_message"]
    assert isinstance(message["timestamp"], float | int) and message["level"] in range(8)
    for name in message:
        assert name in known or re.fullmatch(r"_[\w.\-]+", name), name
    assert "_id" not in message
    return message


@contextlib.contextmanager
def forward(netns: Path | None, port: int = 0, path: Path | None = None, acks: bool = True) -> Iterator[LogServer]:
    """A fluentd: tag, time, record and option of every message, acknowledged where that was asked for.

    ``connection``: which one it came by, counted from 1.
    """
    server = LogServer()

    def serve(listener: socket.socket) -> None:
        for number in itertools.count(1):
            connection = server._accept(listener)
            with connection:
                _forwarded(server, connection, acks, number)

    listener = _listen(netns, socket.SOCK_STREAM, port) if path is None else _listen_locally(path)
    with server._serving(listener, serve):
        yield server
    if path is not None:
        path.unlink()


def _forwarded(server: LogServer, connection: socket.socket, acks: bool, number: int) -> None:
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=True, unicode_errors="surrogateescape")
    while data := connection.recv(65536):
        unpacker.feed(data)
        for tag, when, record, *options in unpacker:
            assert isinstance(tag, str) and isinstance(record, dict) and len(options) <= 1
            if isinstance(when, msgpack.ExtType):
                assert when.code == 0 and len(when.data) == 8
                when = int.from_bytes(when.data[:4], "big") + int.from_bytes(when.data[4:], "big") / 1e9
            option = options[0] if options else {}
            if acks and "chunk" in option:
                connection.sendall(msgpack.packb({"ack": option["chunk"]}))
            server._put({"tag": tag, "time": when, "record": record, "option": option, "connection": number})


def journal_entry(data: bytes) -> dict[str, bytes]:
    """The fields of a datagram of the journal's native protocol."""
    fields: dict[str, bytes] = {}
    while data:
        name, separator, rest = data.partition(b"\n")
        if b"=" in name:
            key, _, value = name.partition(b"=")
            data = rest
        else:
            key, length = name, int.from_bytes(rest[:8], "little")
            value, data = rest[8 : 8 + length], rest[9 + length :]
            assert rest[8 + length : 9 + length] == b"\n"
        assert separator and re.fullmatch(rb"[A-Z0-9][A-Z0-9_]*", key), key
        assert key.decode() not in fields
        fields[key.decode()] = value
    return fields
