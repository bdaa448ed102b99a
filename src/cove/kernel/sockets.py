"""What the kernel knows of a socket beyond what the socket module tells."""

import contextlib
import fcntl
import socket
import struct

_SIOCOUTQ = 0x5411  # <linux/sockios.h>: bytes that were sent and not yet read (unix) or acknowledged (TCP)

_SO_SNDBUFFORCE = 32  # <asm-generic/socket.h>
BULK = 1 << 20
"""Bytes under way of something large: with the usual 208 KiB both sides are woken up for each few pieces."""


def widen(connection: socket.socket) -> None:
    """Let ``BULK`` be under way to the peer, or as much as the kernel allows this user."""
    for option in (socket.SO_SNDBUF, _SO_SNDBUFFORCE):
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, option, BULK)


def unread(connection: socket.socket) -> int:
    """How much of what was sent on a unix socket its peer has not read: 0, or some measure of it. Raises OSError."""
    (left,) = struct.unpack("i", fcntl.ioctl(connection.fileno(), _SIOCOUTQ, bytes(4)))
    return int(left)
