"""Mounts by descriptor: the fsopen, open_tree, move_mount and mount_setattr calls (Linux 5.2 to 5.12).

A mount is made detached, given its attributes, and only then attached to a place that was opened beforehand: a path is
never looked at twice.
"""

import os
import struct

from cove.kernel.libc import check, libc, system_call
from cove.lean import ctypes

READ_ONLY = 0x01
NO_SETUID = 0x02
NO_DEVICES = 0x04
NO_EXECUTE = 0x08
NO_ACCESS_TIME = 0x10
STRICT_ACCESS_TIME = 0x20
ACCESS_TIMES = 0x70
"""The mask of the three exclusive values of access times (relatime is 0); to be cleared when one is set."""
NO_DIRECTORY_ACCESS_TIME = 0x80
NO_SYMLINK_FOLLOW = 0x200000
_ID_MAPPED = 0x100000

UNBINDABLE = 1 << 17
PRIVATE = 1 << 18
SLAVE = 1 << 19
SHARED = 1 << 20

OPEN_TREE_CLONE = 1
AT_RECURSIVE = 0x8000
AT_EMPTY_PATH = 0x1000
AT_FDCWD = -100

_AT_SYMLINK_NOFOLLOW = 0x100
_MOVE_FROM_EMPTY = 0x04
_MOVE_TO_EMPTY = 0x40
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_SET_FLAG, _SET_STRING, _SET_PATH, _SET_PATH_EMPTY, _SET_FD, _CREATE = 0, 1, 3, 4, 5, 6
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _MOUNT_SETATTR = 428, 429, 430, 431, 432, 442
_MNT_DETACH = 2
_MNT_NOFOLLOW = 8  # UMOUNT_NOFOLLOW

_umount2 = libc.umount2
_umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_pivot_root = libc.pivot_root
_pivot_root.argtypes = [ctypes.c_char_p, ctypes.c_char_p]


def open_tree(path: str, flags: int = 0, directory: int = AT_FDCWD) -> int:
    """A descriptor of a mount: with OPEN_TREE_CLONE of a detached copy (AT_RECURSIVE: of what is below it as well).

    An empty path with AT_EMPTY_PATH means ``directory`` itself.
    """
    return system_call("open_tree", _OPEN_TREE, directory, path.encode(), flags | os.O_CLOEXEC, path=path)


def attach(mount: int, place: int) -> None:
    """Attach a detached mount at a place that was opened with O_PATH."""
    flags = _MOVE_FROM_EMPTY | _MOVE_TO_EMPTY
    system_call("move_mount", _MOVE_MOUNT, mount, b"", place, b"", flags)


def set_attributes(
    mount: int,
    attributes: int,
    clear: int = 0,
    *,
    propagation: int = 0,
    recursive: bool = False,
    user_namespace: int | None = None,
) -> None:
    """Set and clear mount attributes (READ_ONLY and so on) and the propagation of the mount at a descriptor.

    ``user_namespace``: a descriptor of one whose mappings the mount of a detached tree is to have (idmapped mount).
    """
    if user_namespace is not None:
        attributes |= _ID_MAPPED
    values = struct.pack("QQQQ", attributes, clear, propagation, user_namespace or 0)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    system_call("mount_setattr", _MOUNT_SETATTR, mount, b"", flags, values, len(values))


def set_propagation(path: str, propagation: int) -> None:
    """Of the mount at a path of this namespace and of every mount below it."""
    values = struct.pack("QQQQ", 0, 0, propagation, 0)
    system_call("mount_setattr", _MOUNT_SETATTR, AT_FDCWD, path.encode(), AT_RECURSIVE, values, len(values), path=path)


class FileSystem:
    """A file system that is being configured (fsopen). ``mount`` makes it and gives a detached mount of it."""

    def __init__(self, kind: str) -> None:
        """Raises OSError (ENODEV) when the kernel has no such file system."""
        self.kind = kind
        self._context = system_call("fsopen", _FSOPEN, kind.encode(), _FSOPEN_CLOEXEC, path=kind)

    def set(self, key: str, value: str | None = None) -> None:
        """Set a parameter, or a flag when there is no value."""
        command, text = (_SET_FLAG, None) if value is None else (_SET_STRING, os.fsencode(value))
        self._configure(command, key, text, 0)

    def set_path(self, key: str, descriptor: int) -> None:
        """Set a parameter that is a file, by descriptor."""
        self._configure(_SET_FD, key, None, descriptor)

    def mount(self, attributes: int = 0) -> int:
        """Make the file system; a descriptor of a detached mount with these attributes. Closes the context."""
        try:
            self._configure(_CREATE, None, None, 0)
            return system_call("fsmount", _FSMOUNT, self._context, _FSMOUNT_CLOEXEC, attributes, path=self.kind)
        finally:
            self.close()

    def close(self) -> None:
        if self._context >= 0:
            os.close(self._context)
            self._context = -1

    def __enter__(self) -> "FileSystem":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _configure(self, command: int, key: str | None, value: bytes | None, auxiliary: int) -> None:
        name = None if key is None else key.encode()
        try:
            system_call("fsconfig", _FSCONFIG, self._context, command, name, value, auxiliary, path=self.kind)
        except OSError as error:
            raise OSError(error.errno, self._explain(error.strerror or "", key), self.kind) from None

    def _explain(self, failure: str, key: str | None) -> str:
        """What the kernel logged about the failure: one message per read, each with a letter and a space before it."""
        messages = [failure if key is None else f"{failure} ({key})"]
        try:
            while True:
                messages.append(os.read(self._context, 4096).decode(errors="replace").strip()[2:])
        except OSError:
            return ": ".join(messages)


def pivot_root(root: int) -> None:
    """Make the mount at ``root`` the root and the working directory, and detach all that was mounted before.

    The old root is stacked on the new one for a moment, so no directory of the container is needed for it
    (pivot_root(2), "pivot_root(".", ".")"). Nothing propagates from the detached mounts to where they came from.
    """
    old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fchdir(root)
        check(_pivot_root(b".", b"."), "pivot_root")
        os.fchdir(old)
        set_propagation(".", SLAVE)
        check(_umount2(b".", _MNT_DETACH), "umount2", "the host's root")
    finally:
        os.close(old)
    os.chdir("/")


def move_to_root(root: int) -> None:
    """As ``pivot_root`` where the kernel refuses that, on the root of an initial ramdisk: move the mount over "/".

    What was there stays mounted below it, out of the reach of paths.
    """
    place = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        attach(root, place)
    finally:
        os.close(place)
    os.fchdir(root)
    os.chroot(".")
    os.chdir("/")


def unmount(path: str) -> None:
    """Detach the mount at a path, which is not followed when it is a symbolic link."""
    check(_umount2(os.fsencode(path), _MNT_DETACH | _MNT_NOFOLLOW), "umount2", path)


def unmount_root(mount_root: int, descriptors: int) -> None:
    """Take away the mount that ``mount_root`` (O_PATH) is the topmost directory or file of; what is open in it stays.

    ``descriptors``: /proc/self/fd, opened where that is the host's, which becomes the working directory: a file has no
    other way to be named. Raises OSError (EINVAL) for what is no root of a mount of this namespace.
    """
    os.fchdir(descriptors)
    check(_umount2(b"%d" % mount_root, _MNT_DETACH), "umount2", mount_root)


def file_system_magic(descriptor: int) -> int:
    """What kind of file system a descriptor is on (statfs(2), f_type)."""
    buffer = ctypes.create_string_buffer(256)
    check(_fstatfs(descriptor, buffer), "fstatfs")
    return ctypes.c_ulong.from_buffer(buffer).value & 0xFFFFFFFF


_fstatfs = libc.fstatfs
_fstatfs.argtypes = [ctypes.c_int, ctypes.c_char_p]

PROC_MAGIC = 0x9FA0
SYSFS_MAGIC = 0x62656572
DEVPTS_MAGIC = 0x1CD1

_mount = libc.mount
_mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]


def mount_with_options(source: str, target: str, kind: str, options: str) -> None:
    """Mount and attach in one call (mount(2)); ``options`` up to one page."""
    check(_mount(source.encode(), os.fsencode(target), kind.encode(), 0, os.fsencode(options)), "mount", target)


MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PROPAGATION = 0x1E0000
"""Flags of mount(2) that change how the others are to be given."""


def mount_with_flags(source: str, target: str, kind: str, flags: int, data: str) -> None:
    """Mount and attach in one call (mount(2)); ``data``: the file system's own options, up to one page."""
    given = os.fsencode(data) if data else None
    check(_mount(source.encode(), os.fsencode(target), kind.encode(), flags, given), "mount", target)


def make_parent_private(path: str) -> None:
    """The mount that a path is on gets no peers: what is mounted below it then stays in this namespace."""
    values = struct.pack("QQQQ", 0, 0, PRIVATE, 0)
    while True:
        try:
            system_call("mount_setattr", _MOUNT_SETATTR, AT_FDCWD, os.fsencode(path), 0, values, len(values), path=path)
            return
        except OSError:  # not where a mount begins
            if path == "/":
                raise
            path = os.path.dirname(path)
