"""Project quotas: how much a directory and all below it may take (quotactl_fd(2), Linux 5.14; linux/fs.h)."""

import contextlib
import fcntl
import os
import stat
import struct

from cove.kernel import walks
from cove.kernel.libc import system_call
from cove.lean import NamedTuple, ctypes

_QUOTACTL_FD = 443
_PROJECT = 2
_GET_QUOTA, _SET_QUOTA, _GET_INFO = 0x800007, 0x800008, 0x800005
_QUOTA = "<8QII"
"""struct if_dqblk: blocks (hard, soft limit, of 1 KiB), bytes in use, inodes (likewise), times, which fields count."""

_BLOCK_LIMITS = 1
_UNIT = 1024
_GET_ATTRIBUTES, _SET_ATTRIBUTES = 0x801C581F, 0x401C5820
_ATTRIBUTES = "<IIIII8s"
"""struct fsxattr: flags, extent size, number of extents, project, …"""

_INHERIT = 0x200
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Usage(NamedTuple):
    """Bytes; a ``limit`` of 0 is none."""

    limit: int
    used: int


def supported(directory: str) -> bool:
    """Whether the file system of a directory enforces project quotas."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _control(descriptor, _GET_INFO, 0, ctypes.create_string_buffer(64))
        _control(descriptor, _GET_QUOTA, 0, ctypes.create_string_buffer(struct.calcsize(_QUOTA)))
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def project(directory: str) -> int:
    """The project of a directory; 0 is none. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return int(struct.unpack(_ATTRIBUTES, _attributes(descriptor))[3])
    finally:
        os.close(descriptor)


def assign(directory: str, number: int) -> None:
    """Make a directory, and what comes to be below it, a project's. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _assign(descriptor, number, _INHERIT)
    finally:
        os.close(descriptor)


def assign_tree(directory: str, number: int) -> None:
    """Make a directory a project's with the files and directories below it, which nobody uses; itself comes last.

    Links, devices and the like take no blocks, and stay what they are. Raises OSError.
    """
    top = os.open(directory, _DIRECTORY)
    try:
        with contextlib.closing(walks.below(top)) as found:
            for place, name in found:
                _assign_below(place, name, number)
        _assign(top, number, _INHERIT)
    finally:
        os.close(top)


def _assign_below(place: int, name: str, number: int) -> None:
    mode = os.stat(name, dir_fd=place, follow_symlinks=False).st_mode
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        return
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    try:
        _assign(descriptor, number, _INHERIT if stat.S_ISDIR(mode) else 0)
    finally:
        os.close(descriptor)


def _assign(descriptor: int, number: int, more: int) -> None:
    """``more``: flags to be set as well."""
    flags, extent, extents, _, cow, rest = struct.unpack(_ATTRIBUTES, _attributes(descriptor))
    values = struct.pack(_ATTRIBUTES, flags | more, extent, extents, number, cow, rest)
    fcntl.ioctl(descriptor, _SET_ATTRIBUTES, values)


def limit(directory: str, number: int, size: int) -> None:
    """Bound what a project takes on the file system of a directory: bytes, 0 is no bound. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        blocks = -(-size // _UNIT)
        values = struct.pack(_QUOTA, blocks, blocks, 0, 0, 0, 0, 0, 0, _BLOCK_LIMITS, 0)
        _control(descriptor, _SET_QUOTA, number, ctypes.create_string_buffer(values, len(values)))
    finally:
        os.close(descriptor)


def usage(directory: str, number: int) -> Usage:
    """Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    buffer = ctypes.create_string_buffer(struct.calcsize(_QUOTA))
    try:
        _control(descriptor, _GET_QUOTA, number, buffer)
    finally:
        os.close(descriptor)
    blocks, _, used = struct.unpack_from("<QQQ", buffer.raw)
    return Usage(blocks * _UNIT, used)


def _control(descriptor: int, command: int, number: int, buffer: object) -> None:
    system_call("quotactl", _QUOTACTL_FD, descriptor, command << 8 | _PROJECT, number, buffer)


def _attributes(descriptor: int) -> bytes:
    return fcntl.ioctl(descriptor, _GET_ATTRIBUTES, bytes(struct.calcsize(_ATTRIBUTES)))
