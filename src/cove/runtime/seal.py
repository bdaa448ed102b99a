"""What is closed to the program once it is inside: masked paths, read-only paths, a read-only root; and sysctls.

Applied after pivot_root, through descriptors; whatever claims to be below /proc is checked to be on the real procfs.
"""

import errno
import os
import stat

from cove.kernel import mounts, paths
from cove.lean import NamedTuple
from cove.oci.runtime import Spec
from cove.runtime import namespaces
from cove.runtime.rootfs import Operation

_NULL_DEVICE = os.makedev(1, 3)


class Sysctl(NamedTuple):
    """A kernel parameter of the container's own namespaces."""

    name: str
    value: str

    def apply(self, root: int) -> None:
        path = "/proc/sys/" + self.name.replace("/", "\0").replace(".", "/").replace("\0", ".")
        try:
            descriptor = paths.open_in_root(root, path, os.O_WRONLY, links=False)
        except OSError as error:
            raise OSError(error.errno, f"open {path}: {os.strerror(error.errno or 0).lower()}") from None
        try:
            _check_procfs(descriptor, path)
            os.write(descriptor, self.value.encode())
        except OSError as error:
            raise OSError(error.errno, f"write {path}: {error.strerror}") from None
        finally:
            os.close(descriptor)


class ReadOnlyPath(NamedTuple):
    """A path, and what is mounted below it, that cannot be written through."""

    path: str

    def apply(self, root: int) -> None:
        place = _existing(root, self.path)
        if place is None:
            return
        try:
            mount = mounts.open_tree("", mounts.OPEN_TREE_CLONE | mounts.AT_RECURSIVE | mounts.AT_EMPTY_PATH, place)
            try:
                mounts.set_attributes(mount, mounts.READ_ONLY, recursive=True)
                mounts.attach(mount, place)
            finally:
                os.close(mount)
        finally:
            os.close(place)


class MaskedPath(NamedTuple):
    """A path that reads as empty: a directory under an empty read-only tmpfs, a file under /dev/null."""

    path: str

    def apply(self, root: int) -> None:
        place = _existing(root, self.path)
        if place is None:
            return
        try:
            mount = _empty_directory() if stat.S_ISDIR(os.fstat(place).st_mode) else _null(root)
            try:
                mounts.attach(mount, place)
            finally:
                os.close(mount)
        finally:
            os.close(place)


class ReadOnlyRoot(NamedTuple):
    """The root itself cannot be written to; other mounts are as they are."""

    def apply(self, root: int) -> None:
        mounts.set_attributes(root, mounts.READ_ONLY)


def plan(spec: Spec) -> list[Operation]:
    """The operations, in their order. Raises ValueError for a sysctl that would change the host."""
    linux = spec.get("linux", {})
    _check_sysctls(spec)
    operations: list[Operation] = [Sysctl(name, value) for name, value in linux.get("sysctl", {}).items()]
    operations += [ReadOnlyPath(path) for path in linux.get("readonlyPaths", [])]
    operations += [MaskedPath(path) for path in linux.get("maskedPaths", [])]
    if spec["root"].get("readonly"):
        operations.append(ReadOnlyRoot())
    return operations


_IPC_SYSCTLS = frozenset(
    {
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    }
)


def _check_sysctls(spec: Spec) -> None:
    own = namespaces.paths(spec)
    for name in spec.get("linux", {}).get("sysctl", {}):
        dotted = name.replace("/", ".")
        if dotted.startswith("net."):
            needed = "network"
        elif dotted in _IPC_SYSCTLS or dotted.startswith("fs.mqueue."):
            needed = "ipc"
        elif dotted == "kernel.domainname":
            needed = "uts"
        else:
            raise ValueError(f"sysctl {name!r} is not in a separate kernel namespace")
        if needed not in own:
            raise ValueError(f"sysctl {name!r} is not allowed in the host's {needed} namespace")


def _existing(root: int, path: str) -> int | None:
    """The path as it is, below the root; None when it is not there. Kernel file systems are not reached by links."""
    of_kernel = path.startswith(("/proc/", "/sys/"))
    try:
        place = paths.open_in_root(root, path, os.O_PATH, links=not of_kernel)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if path.startswith("/proc/"):
        try:
            _check_procfs(place, path)
        except OSError:
            os.close(place)
            raise
    return place


def _check_procfs(descriptor: int, path: str) -> None:
    if mounts.file_system_magic(descriptor) != mounts.PROC_MAGIC:
        raise OSError(errno.EXDEV, f"{path} is not on the real proc file system")


def _empty_directory() -> int:
    with mounts.FileSystem("tmpfs") as file_system:
        file_system.set("source", "tmpfs")
        file_system.set("mode", "755")
        file_system.set("nr_inodes", "1")
        return file_system.mount(mounts.READ_ONLY)


def _null(root: int) -> int:
    device = paths.open_in_root(root, "/dev/null", os.O_PATH, links=False)
    try:
        found = os.fstat(device)
        if not stat.S_ISCHR(found.st_mode) or found.st_rdev != _NULL_DEVICE:
            raise OSError(errno.EINVAL, "/dev/null is not the null device")
        return mounts.open_tree("", mounts.OPEN_TREE_CLONE | mounts.AT_EMPTY_PATH, device)
    finally:
        os.close(device)
