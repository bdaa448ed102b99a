"""What the kernel knows of a socket beyond what the socket module tells."""

import fcntl
import socket
import struct

_SIOCOUTQ = 0x5411  # <linux/sockios.h>: bytes that were sent and not yet read (unix) or acknowledged (TCP)


def unread(connection: socket.socket) -> int:
    """How much of what was sent on a unix socket its peer has not read: 0, or some measure of it. Raises OSError."""
    (left,) = struct.unpack("i", fcntl.ioctl(connection.fileno(), _SIOCOUTQ, bytes(4)))
    return int(left)
