"""What is in a file: copied without passing through this process (ioctl_ficlone(2), copy_file_range(2)), and synced."""

import errno
import fcntl
import os
from collections.abc import Iterator

_FICLONE = 0x40049409
_STEP = 1 << 30
_NOT_SHARED = frozenset((errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM))
"""What says that two files cannot share extents, or cannot be copied between by the kernel."""


def copy(source: int, target: int, size: int) -> None:
    """Copy ``size`` bytes to an empty file: by sharing extents where the file system can, else run by run.

    Holes stay holes. What the source has lost since its size was taken reads as zeros. Raises OSError.
    """
    if not size or _clone(source, target):
        return
    os.ftruncate(target, size)
    for offset, length in runs(source, size):
        _copy_run(source, target, offset, length)


def sync(path: str | os.PathLike[str]) -> None:
    """Wait until what is in a file, or which names are in a directory, is on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def runs(file: int, size: int) -> Iterator[tuple[int, int]]:
    """Offset and length of each run of data below ``size``; one for all where the file system does not tell."""
    end = 0
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
            if start >= size:
                return
            end = min(os.lseek(file, start, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno != errno.ENXIO:  # else only a hole is left, or somebody has cut the file
                yield end, size - end
            return
        yield start, end - start


def _clone(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NOT_SHARED:
            return False
        raise
    return True


def _copy_run(source: int, target: int, offset: int, length: int) -> None:
    end = offset + length
    while offset < end:
        try:
            copied = os.copy_file_range(source, target, min(end - offset, _STEP), offset, offset)
        except OSError as error:
            if error.errno not in _NOT_SHARED:
                raise
            os.lseek(target, offset, os.SEEK_SET)
            copied = os.sendfile(target, source, offset, min(end - offset, _STEP))
        if not copied:
            return
        offset += copied
