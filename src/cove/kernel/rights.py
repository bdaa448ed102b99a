"""File descriptors beside the bytes of a unix socket's message (SCM_RIGHTS, unix(7))."""

import struct

from cove.lean import Sequence, socket

Ancillary = list[tuple[int, int, bytes]]
_SIZE = struct.calcsize("i")


def of(descriptors: Sequence[int]) -> Ancillary:
    """For ``sendmsg``."""
    if not descriptors:
        return []
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(descriptors)}i", *descriptors))]


def space(count: int) -> int:
    """For ``recvmsg``: the room that so many take."""
    return socket.CMSG_SPACE(count * _SIZE)


def received(ancillary: Ancillary) -> list[int]:
    """What ``recvmsg`` brought."""
    found: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            whole = len(data) // _SIZE
            found += struct.unpack(f"{whole}i", data[: whole * _SIZE])
    return found
