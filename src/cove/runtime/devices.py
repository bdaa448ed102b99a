"""What is in /dev: the devices that every container has, those it was given, and the links that programs expect."""

import errno
import os
import stat

from cove.kernel import mounts, paths
from cove.lean import NamedTuple, Protocol, suppress
from cove.oci.runtime import Device, Spec

DEFAULTS: list[Device] = [
    {"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666},
    {"path": "/dev/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o666},
    {"path": "/dev/full", "type": "c", "major": 1, "minor": 7, "fileMode": 0o666},
    {"path": "/dev/random", "type": "c", "major": 1, "minor": 8, "fileMode": 0o666},
    {"path": "/dev/urandom", "type": "c", "major": 1, "minor": 9, "fileMode": 0o666},
    {"path": "/dev/tty", "type": "c", "major": 5, "minor": 0, "fileMode": 0o666},
]
"""The runtime specification's default devices ("config-linux", "Default Devices")."""

LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("pts/ptmx", "/dev/ptmx"),
)

_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


class Operation(Protocol):
    def apply(self, root: int) -> None: ...


class Node(NamedTuple):
    """A device node; where the kernel refuses to make one, the host's is bound there instead."""

    path: str
    mode: int
    device: int
    uid: int
    gid: int

    def apply(self, root: int) -> None:
        parent_path, _, name = self.path.rpartition("/")
        parent = paths.make_directories(root, parent_path)
        try:
            os.mknod(name, self.mode, self.device, dir_fd=parent)
            if (self.uid, self.gid) != (0, 0):
                os.chown(name, self.uid, self.gid, dir_fd=parent, follow_symlinks=False)
        except FileExistsError:
            self._check(parent, name)
        except OSError as error:
            if error.errno != errno.EPERM:
                raise
            self._bind(root)
        finally:
            os.close(parent)

    def _check(self, parent: int, name: str) -> None:
        """What an image or a bind brought under this name is kept only when it is the same device."""
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if (stat.S_IFMT(found.st_mode), found.st_rdev) != (stat.S_IFMT(self.mode), self.device):
            raise FileExistsError(errno.EEXIST, "something else is where the device belongs", self.path)

    def _bind(self, root: int) -> None:
        mount = mounts.open_tree(self.path, mounts.OPEN_TREE_CLONE)
        try:
            place = paths.make_file(root, self.path)
            try:
                mounts.attach(mount, place)
            finally:
                os.close(place)
        finally:
            os.close(mount)


class Link(NamedTuple):
    """A symbolic link; what is there already stays."""

    target: str
    path: str

    def apply(self, root: int) -> None:
        parent_path, _, name = self.path.rpartition("/")
        parent = paths.make_directories(root, parent_path)
        try:
            with suppress(FileExistsError):
                os.symlink(self.target, name, dir_fd=parent)
        finally:
            os.close(parent)


def plan(spec: Spec) -> list[Operation]:
    """The operations for /dev. A /dev that is bound from the host is left as it is, but for devices asked for."""
    asked = spec.get("linux", {}).get("devices", [])
    wanted = [device for device in asked if device["path"] != "/dev/ptmx"]  # the container's own pts is linked there
    operations: list[Operation] = []
    if not _is_bound(spec):
        given = {device["path"] for device in wanted}
        operations += [node(device) for device in DEFAULTS if device["path"] not in given]
        operations += [Link(target, path) for target, path in LINKS]
    return operations + [node(device) for device in wanted]


def node(device: Device) -> Node:
    """The operation for a device. Raises ValueError naming the field."""
    path = os.path.normpath("/" + device["path"].lstrip("/"))
    kind = _KINDS.get(device["type"])
    if kind is None:
        raise ValueError(f"linux.devices: {device['path']}: unknown type {device['type']!r}")
    number = 0 if kind == stat.S_IFIFO else os.makedev(device.get("major", 0), device.get("minor", 0))
    mode = kind | (device.get("fileMode", 0o666) & 0o7777)
    return Node(path, mode, number, device.get("uid", 0), device.get("gid", 0))


def _is_bound(spec: Spec) -> bool:
    for mount in spec.get("mounts", []):
        if mount["destination"].rstrip("/") == "/dev":
            return mount.get("type") == "bind" or not {"bind", "rbind"}.isdisjoint(mount.get("options", []))
    return False
