"""What a socket's peer has not read yet."""

import socket

from cove.kernel.sockets import unread


def test_unread_tells_whether_the_peer_has_read() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        assert unread(ours) == 0
        ours.sendall(b"HTTP/1.1 101 UPGRADED\r\n\r\n")
        assert unread(ours) > 0
        theirs.recv(1000)
        assert unread(ours) == 0
