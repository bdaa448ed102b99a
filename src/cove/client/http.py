"""HTTP/1.1 for one request on one connected socket: what the Engine API needs and no more.

``exchange`` writes a request and reads the response's head; the ``Response`` then gives the body whole, in pieces or
line by line, or gives up the socket for a hijacked stream. The standard library's client is not used because it brings
the email package and ssl with it, which doubles the time a short command takes.
"""

from __future__ import annotations

from _socket import SO_SNDBUF, SOL_SOCKET

from cove.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket as Socket
    from collections.abc import Iterable, Iterator


class BrokenAnswer(Unavailable):
    """The daemon went away, or sent what is not HTTP, in the middle of an exchange."""


MAX_HEAD = 64 * 1024
CHUNK = 64 * 1024
BULK = 1024 * 1024
_SO_SNDBUFFORCE = 32  # <asm-generic/socket.h>


class Reader:
    """Buffered reading from a socket, with the bytes already read in ``pending``."""

    __slots__ = ("pending", "sock")

    def __init__(self, sock: Socket) -> None:
        self.sock = sock
        self.pending = b""

    def some(self, limit: int = CHUNK) -> bytes:
        """At least one byte and at most ``limit``; empty at the end of the stream."""
        if self.pending:
            piece, self.pending = self.pending[:limit], self.pending[limit:]
            return piece
        return self.sock.recv(limit)

    def exactly(self, size: int) -> bytes:
        pieces = []
        while size:
            piece = self.some(min(size, CHUNK))
            if not piece:
                raise BrokenAnswer("the daemon closed the connection in the middle of a response")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def until(self, mark: bytes, limit: int = MAX_HEAD) -> bytes:
        """Everything before ``mark``, which is consumed."""
        while (end := self.pending.find(mark)) < 0:
            if len(self.pending) > limit:
                raise BrokenAnswer(f"the daemon sent a head of more than {limit} bytes")
            piece = self.sock.recv(CHUNK)
            if not piece:
                raise BrokenAnswer("the daemon closed the connection before it answered")
            self.pending += piece
        found, self.pending = self.pending[:end], self.pending[end + len(mark) :]
        return found


class Response:
    """A response whose head has been read. ``headers`` has lower-case names."""

    __slots__ = ("bodiless", "headers", "reader", "reason", "status")

    def __init__(self, reader: Reader, status: int, reason: str, headers: dict[str, str], bodiless: bool) -> None:
        self.reader = reader
        self.status = status
        self.reason = reason
        self.headers = headers
        self.bodiless = bodiless or status in (204, 304) or 100 <= status < 200

    @property
    def chunked(self) -> bool:
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    @property
    def reusable(self) -> bool:
        """Whether the connection can carry another request once the body has been read."""
        framed = self.bodiless or self.chunked or "content-length" in self.headers
        return framed and self.headers.get("connection", "").lower() != "close"

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives, decoded from its transfer encoding."""
        if self.bodiless:
            return
        if self.chunked:
            yield from self._chunks()
        elif "content-length" in self.headers:
            yield from self._counted(int(self.headers["content-length"]))
        else:
            while piece := self.reader.some():
                yield piece

    def read(self) -> bytes:
        return b"".join(self.pieces())

    def lines(self) -> Iterator[bytes]:
        """The body split at newlines, each line without its newline, as soon as it is complete."""
        rest = b""
        for piece in self.pieces():
            *complete, rest = (rest + piece).split(b"\n")
            yield from complete
        if rest:
            yield rest

    def hijack(self) -> tuple[Socket, bytes]:
        """Give up the raw socket and the bytes of the stream that were already read."""
        leftover, self.reader.pending = self.reader.pending, b""
        return self.reader.sock, leftover

    def close(self) -> None:
        self.reader.sock.close()

    def _counted(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self.reader.some(min(left, CHUNK))
            if not piece:
                raise BrokenAnswer("the daemon closed the connection in the middle of a response")
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.reader.until(b"\r\n").partition(b";")[0], 16):
            yield from self._counted(size)
            self.reader.until(b"\r\n")
        while self.reader.until(b"\r\n"):
            pass


def exchange(
    sock: Socket,
    method: str,
    target: str,
    headers: dict[str, str],
    body: bytes | Iterable[bytes] | None = None,
) -> Response:
    """Send one request and read the response's head. An iterable body is sent chunked."""
    send(sock, method, target, headers, body)
    return receive(Reader(sock), method)


def send(
    sock: Socket,
    method: str,
    target: str,
    headers: dict[str, str],
    body: bytes | Iterable[bytes] | None = None,
) -> None:
    """Send one request and do not wait for what comes back."""
    if isinstance(body, bytes):
        headers = {**headers, "Content-Length": str(len(body))}
    elif body is not None:
        headers = {**headers, "Transfer-Encoding": "chunked"}
    elif method in ("POST", "PUT"):
        headers = {**headers, "Content-Length": "0"}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if body is None or isinstance(body, bytes):
        sock.sendall(head + (body or b""))
    else:
        _send_chunked(sock, head, body)


def receive(reader: Reader, method: str) -> Response:
    """Read a response's head, past any interim one."""
    while True:
        response = _head(reader, method)
        if response.status != 100:
            return response


def _send_chunked(sock: Socket, head: bytes, body: Iterable[bytes]) -> None:
    _widen(sock)
    sock.sendall(head)
    try:
        for piece in body:
            if piece:
                sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        sock.sendall(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        # The daemon may refuse a body before it has read all of it; its answer says why.
        return


def _widen(sock: Socket) -> None:
    """Let more be under way than usual: else both sides are woken up for each few pieces."""
    for option in (SO_SNDBUF, _SO_SNDBUFFORCE):
        try:
            sock.setsockopt(SOL_SOCKET, option, BULK)
        except OSError:  # more than this user may have
            return


def _head(reader: Reader, method: str) -> Response:
    first, *rest = reader.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
    version, _, status_line = first.partition(" ")
    status, _, reason = status_line.partition(" ")
    if not version.startswith("HTTP/1.") or not status.isdecimal():
        raise BrokenAnswer(f"not an HTTP/1.1 answer: {first[:80]!r}")
    headers = {}
    for line in rest:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Response(reader, int(status), reason, headers, method == "HEAD")
