"""What a socket's peer has not read yet, and how much that may be."""

import socket

import pytest

from cove.kernel.sockets import unread, widen


def test_unread_tells_whether_the_peer_has_read() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        assert unread(ours) == 0
        ours.sendall(b"HTTP/1.1 101 UPGRADED\r\n\r\n")
        assert unread(ours) > 0
        theirs.recv(1000)
        assert unread(ours) == 0


@pytest.mark.root
def test_more_than_usual_is_under_way() -> None:
    usual, theirs = socket.socketpair()
    wide, others = socket.socketpair()
    with usual, theirs, wide, others:
        widen(wide)
        assert _taken(wide) > 2 * _taken(usual)


def _taken(connection: socket.socket) -> int:
    """Bytes that it takes while nobody reads."""
    connection.setblocking(False)
    taken = 0
    try:
        while True:
            taken += connection.send(bytes(1 << 14))
    except BlockingIOError:
        return taken
