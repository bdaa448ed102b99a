"""The option ``tmpcopyup`` of a tmpfs: it begins with what the image has at its place.

Works from descriptors: the image's directories are never looked up by path, and nothing outside of them is reached.
"""

import os
import stat
from contextlib import suppress

_CHUNK = 1 << 20


def copy(source: int, target: int) -> None:
    """Copy what is in the directory ``source`` into the empty directory ``target``. Raises OSError."""
    _copy_attributes(os.fstat(source), target)
    names = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=source)
    try:
        for name in os.listdir(names):
            _copy_entry(names, target, name)
    finally:
        os.close(names)


def _copy_entry(source: int, target: int, name: str) -> None:
    found = os.stat(name, dir_fd=source, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        os.mkdir(name, 0o700, dir_fd=target)
        _within(source, target, name)
    elif stat.S_ISREG(found.st_mode):
        _copy_file(source, target, name)
    elif stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
    else:
        os.mknod(name, found.st_mode, found.st_rdev, dir_fd=target)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
        os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=target)


def _within(source: int, target: int, name: str) -> None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    theirs, ours = os.open(name, flags, dir_fd=source), os.open(name, flags, dir_fd=target)
    try:
        copy(theirs, ours)
    finally:
        os.close(theirs)
        os.close(ours)


def _copy_file(source: int, target: int, name: str) -> None:
    theirs = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    ours = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
    try:
        while os.sendfile(ours, theirs, None, _CHUNK):
            pass
        _copy_attributes(os.fstat(theirs), ours)
        for attribute in os.listxattr(theirs):
            with suppress(OSError):  # one that a tmpfs does not take
                os.setxattr(ours, attribute, os.getxattr(theirs, attribute))
    finally:
        os.close(theirs)
        os.close(ours)


def _copy_attributes(found: os.stat_result, target: int) -> None:
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
