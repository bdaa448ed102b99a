"""HTTP/1.1 as the client reads and writes it, over a socket pair."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.client.http import MAX_HEAD, BrokenAnswer, Reader, exchange, receive, send

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def _answer(theirs: socket.socket, *pieces: bytes) -> None:
    for piece in pieces:
        theirs.sendall(piece)
    theirs.shutdown(socket.SHUT_WR)


def test_a_counted_body(pair: Pair) -> None:
    ours, theirs = pair
    _answer(theirs, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello")
    response = exchange(ours, "GET", "/x", {"Host": "h"})
    assert (response.status, response.reason, response.headers["x-a"]) == (200, "OK", "b")
    assert response.read() == b"hello"
    assert response.reusable
    assert theirs.recv(1000) == b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"


def test_a_chunked_body_in_any_pieces(pair: Pair) -> None:
    ours, theirs = pair
    _answer(theirs, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhel", b"lo\r\n1\r\n!\r\n0\r\n\r\n")
    assert exchange(ours, "GET", "/", {}).read() == b"hello!"


def test_lines_come_whole(pair: Pair) -> None:
    ours, theirs = pair
    _answer(theirs, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n4\r\nc\n\nd\r\n0\r\n\r\n")
    assert list(exchange(ours, "GET", "/", {}).lines()) == [b"a", b"bc", b"", b"d"]


def test_a_body_until_the_end(pair: Pair) -> None:
    ours, theirs = pair
    _answer(theirs, b"HTTP/1.1 200 OK\r\n\r\nall of it")
    response = exchange(ours, "GET", "/", {})
    assert (response.read(), response.reusable) == (b"all of it", False)


def test_a_hijacked_stream_keeps_what_was_read(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\nfirst bytes")
    sock, leftover = exchange(ours, "POST", "/attach", {}).hijack()
    assert (sock, leftover) == (ours, b"first bytes")


def test_interim_responses_are_skipped(pair: Pair) -> None:
    ours, theirs = pair
    _answer(theirs, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
    response = exchange(ours, "POST", "/", {}, b"{}")
    assert (response.status, response.read()) == (204, b"")


def test_head_has_no_body(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    assert exchange(ours, "HEAD", "/_ping", {}).read() == b""


def test_requests_frame_their_bodies(pair: Pair) -> None:
    ours, theirs = pair
    send(ours, "POST", "/a", {}, b"{}")
    send(ours, "POST", "/b", {})
    send(ours, "PUT", "/c", {}, iter([b"one", b"", b"two"]))
    assert theirs.recv(4096) == (
        b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
        b"POST /b HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
        b"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 xyz\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
        b"x" * (MAX_HEAD + 70_000),
    ],
)
def test_broken_answers(answer: bytes, pair: Pair) -> None:
    ours, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    _answer(theirs, answer)
    with pytest.raises(BrokenAnswer):
        exchange(ours, "GET", "/", {}).read()


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.integers(1, 7))
def test_any_chunks_give_the_body_back(pieces: list[bytes], step: int) -> None:
    encoded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    stream = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + encoded
    reader = _Scripted([stream[at : at + step] for at in range(0, len(stream), step)])
    assert receive(reader, "GET").read() == b"".join(pieces)


class _Scripted(Reader):
    """A reader that is given the same bytes in other pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.sock = self  # type: ignore[assignment]
        self.pending = b""
        self._pieces = pieces

    def recv(self, limit: int) -> bytes:
        if not self._pieces:
            return b""
        piece, rest = self._pieces[0][:limit], self._pieces[0][limit:]
        self._pieces[:1] = [rest] if rest else []
        return piece
