"""Mounts that are attached to a container that runs, or taken from it.

What is mounted is opened as the host sees it. Then the job enters the container's mount namespace, resolves the place
inside the container's root, and attaches there, as move_mount(2) wants the place to be of the caller's namespace. In
between there are only system calls, so that the interpreter looks nothing up in the container (CVE-2019-14271).
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from cove.errors import InvalidArgument
from cove.kernel import mounts, namespaces, paths
from cove.layers.volumes import detached_mounts
from cove.layers.worker.tree_jobs import AttachMount, DetachMount

_ROOT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def attach(job: AttachMount, namespace: int) -> None:
    """``namespace``: a descriptor of the container's mount namespace. Raises InvalidArgument, OSError."""
    namespaces.unshare(["mount"])  # gives this thread a root and a working directory of its own as well
    mount = detached_mounts.open_mount(job, namespace)
    try:
        directory = stat.S_ISDIR(os.fstat(mount).st_mode)
        with _entered(namespace) as root:
            place = _place(root, job.destination, directory)
            try:
                _attach(mount, place, job.destination)
            finally:
                os.close(place)
    finally:
        os.close(mount)


def detach(job: DetachMount, namespace: int) -> None:
    """Raises InvalidArgument where nothing is mounted, OSError."""
    namespaces.unshare(["mount"])
    descriptors = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with _entered(namespace) as root:
        try:
            place = paths.open_in_root(root, job.destination, os.O_PATH)
            mounts.unmount_root(place, descriptors)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                raise InvalidArgument(f"{job.destination} is not a mount of the container") from error
            raise


@contextlib.contextmanager
def _entered(namespace: int) -> Iterator[int]:
    """Be in the namespace: its root."""
    own, home = namespaces.open_namespace(os.getpid(), "mount"), os.open("/", _ROOT)
    namespaces.enter(namespace, "mount")
    try:
        yield os.open("/", _ROOT)
    finally:
        namespaces.enter(own, "mount")
        os.fchdir(home)


def _place(root: int, destination: str, directory: bool) -> int:
    """Where to mount, made if need be; links lead inside."""
    try:
        return paths.make_directories(root, destination) if directory else paths.make_file(root, destination)
    except (NotADirectoryError, IsADirectoryError, FileExistsError):
        raise InvalidArgument(f"{destination}: is not {'a directory' if directory else 'a file'}") from None
    except OSError as error:
        if error.errno in (errno.EOVERFLOW, errno.EROFS):
            raise InvalidArgument(f"{destination} must be there to be mounted on: {error.strerror}") from error
        raise


def _attach(mount: int, place: int, destination: str) -> None:
    if mounts.file_system_magic(place) == mounts.PROC_MAGIC:
        raise InvalidArgument(f"{destination} cannot be mounted because it is inside /proc")
    if stat.S_ISDIR(os.fstat(mount).st_mode) != stat.S_ISDIR(os.fstat(place).st_mode):
        raise InvalidArgument(f"{destination}: a directory and a file cannot be mounted on each other")
    mounts.attach(mount, place)
