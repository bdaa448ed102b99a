"""Loop devices: block devices whose blocks are those of a file (linux/loop.h).

A device clears itself with the last that has it open or mounted, so there is none to collect, whatever was killed.
"""

import errno
import fcntl
import os
import struct

from cove.kernel import mounts
from cove.lean import Iterator

_CONFIGURE, _SET_CAPACITY, _GET_STATUS, _GET_FREE = 0x4C0A, 0x4C07, 0x4C05, 0x4C82
_AUTOCLEAR = 4
_STATUS = "<QQQQQIIII64s64s32s16s"
"""struct loop_info64: device, inode, rdevice, offset, sizelimit, number, encryption twice, flags, names …"""

_CONFIG = "<II"
_ATTEMPTS = 64
_GROW_EXT4 = 0x40086610  # EXT4_IOC_RESIZE_FS
_GROW_XFS = 0x4010586E  # XFS_IOC_FSGROWFSDATA
_XFS_MAGIC = 0x58465342
_XFS_INODES_PERCENT = 25
"""The share of an XFS that inodes may have, mkfs.xfs's default, which growing sets anew."""


def attach(file: str) -> tuple[int, str]:
    """The device of a file, which every user of the file shares: a descriptor that keeps it, and its path.

    Two devices of one file would be two file systems in one place; whoever calls this for a file does so one at a time.
    Raises OSError.
    """
    backing = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        for device in _of_file(file):
            opened = _opened(device, backing)
            if opened is not None:
                return opened, device
        return _configured(backing, file)
    finally:
        os.close(backing)


def has_device(file: str) -> bool:
    """Whether a device has a file, and so somebody the file system in it."""
    return any(True for _ in _of_file(file))


def refresh(device: int) -> None:
    """Its file has grown. Raises OSError."""
    fcntl.ioctl(device, _SET_CAPACITY, 0)


def grow(directory: int, size: int) -> None:
    """Have a mounted ext4 or XFS take up ``size`` bytes of its device, which has them.

    Raises OSError: EPERM for an ext4 without CAP_SYS_RESOURCE.
    """
    blocks = size // os.fstatvfs(directory).f_frsize
    if mounts.file_system_magic(directory) == _XFS_MAGIC:
        fcntl.ioctl(directory, _GROW_XFS, struct.pack("QII", blocks, _XFS_INODES_PERCENT, 0))
    else:
        fcntl.ioctl(directory, _GROW_EXT4, struct.pack("Q", blocks))


def _of_file(file: str) -> Iterator[str]:
    """Devices that say of themselves that they have this file."""
    wanted = os.path.realpath(file)
    for name in os.listdir("/sys/block"):
        if name.startswith("loop"):
            try:
                with open(f"/sys/block/{name}/loop/backing_file") as backing:
                    found = backing.read().rstrip("\n")
            except OSError:
                continue
            if found == wanted:
                yield f"/dev/{name}"


def _opened(device: str, backing: int) -> int | None:
    """A descriptor, if it still has this file: the last user may just have gone."""
    try:
        opened = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = fcntl.ioctl(opened, _GET_STATUS, bytes(struct.calcsize(_STATUS)))
        number, inode = struct.unpack_from("<QQ", status)
        found = os.fstat(backing)
        if inode == found.st_ino and number == found.st_dev:
            return opened
    except OSError:
        pass
    os.close(opened)
    return None


def _configured(backing: int, file: str) -> tuple[int, str]:
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_ATTEMPTS):
            device = f"/dev/loop{fcntl.ioctl(control, _GET_FREE)}"
            opened = os.open(device, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(opened, _CONFIGURE, _config(backing, file))
                return opened, device
            except OSError as error:
                os.close(opened)
                if error.errno not in (errno.EAGAIN, errno.EBUSY):  # another was quicker
                    raise
        raise OSError(errno.EBUSY, "no loop device is free", file)
    finally:
        os.close(control)


def _config(backing: int, file: str) -> bytes:
    """struct loop_config: the file, the block size (0: the default), loop_info64, reserved."""
    name = os.fsencode(os.path.basename(file))[:63]
    info = struct.pack(_STATUS, 0, 0, 0, 0, 0, 0, 0, 0, _AUTOCLEAR, name, b"", b"", b"")
    return struct.pack(_CONFIG, backing, 0) + info + bytes(64)
