"""A container's root as a descriptor, for a job: of the running container's mounts, or of a mount for the job alone.

The job never works with the container's root as its own: it enters the container's mount namespace to open the root,
leaves it again, and walks from the descriptor (``kernel.paths``, ``tree``). So nothing that the interpreter opens by
name, a module that it imports late for one, is ever looked up in the container (CVE-2019-14271).
"""

import errno
import os
import stat

from cove.errors import InvalidArgument
from cove.kernel import mounts, namespaces, overlay, paths, processes
from cove.layers.worker.jobs import Bind, View
from cove.layers.worker.staging import stage

_ROOT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_UNWRITABLE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS))


def enter_user(namespace: int) -> None:
    """Be the root of the user namespace that a container's mount namespace belongs to, when that is not the host's.

    Its files then have the ids that the container sees, and new ones get them. Raises OSError.
    """
    user = namespaces.user_of(namespace)
    try:
        if not namespaces.is_own_user(user):
            namespaces.enter(user, "user")
            os.setgroups([])
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
            processes.set_dumpable(False)
    finally:
        os.close(user)


def open_root(view: View, namespace: int | None, *, writes: bool) -> int:
    """The root with everything that is mounted below it (O_PATH). Raises OSError, InvalidArgument.

    ``writes``: else it is also found on a disk that is full or read-only.
    """
    namespaces.unshare(["mount"])  # gives this thread a root of its own as well, which entering another one needs
    return _mounted(view, writes) if namespace is None else of_namespace(namespace, whole=True)


def open_bare_root(view: View, namespace: int | None) -> int:
    """The root without anything that is mounted below it, to be read only. Raises OSError."""
    if namespace is not None:
        namespaces.unshare(["mount"])
        return of_namespace(namespace, whole=False)
    stage(view.staged)
    if not view.lower:
        return os.open(view.upper, _ROOT)
    return overlay.mount_read_only([view.upper, *view.lower])


def of_namespace(namespace: int, whole: bool) -> int:
    """The root of a mount namespace, with what is mounted below it or without; this process has one of its own."""
    own = namespaces.open_namespace(os.getpid(), "mount")
    home = os.open("/", _ROOT)
    try:
        namespaces.enter(namespace, "mount")
        try:
            return os.open("/", _ROOT) if whole else mounts.open_tree("/", mounts.OPEN_TREE_CLONE)
        finally:
            namespaces.enter(own, "mount")
            os.fchdir(home)
    finally:
        os.close(own)
        os.close(home)


def _mounted(view: View, writes: bool) -> int:
    """Mount the overlay and the binds in this job's mount namespace; without layers the root is ``upper`` itself."""
    stage(view.staged)
    root = _overlaid(view, writes) if view.lower else os.open(view.upper, _ROOT)
    for bind in view.binds:
        _bind(root, bind)
    if view.read_only and view.lower:
        mounts.set_attributes(root, mounts.READ_ONLY)
    return root


def _overlaid(view: View, writes: bool) -> int:
    try:
        root = overlay.mount(view.lower, view.upper, view.work, view.root)
    except OSError as error:  # overlayfs makes a directory in ``work`` when it is mounted
        if writes or error.errno not in _UNWRITABLE:
            raise
        root = overlay.mount_read_only([view.upper, *view.lower])
    if root == overlay.ATTACHED:
        return os.open(view.root, _ROOT)
    place = os.open(view.root, _ROOT)
    try:
        mounts.attach(root, place)
    finally:
        os.close(place)
    return root


def _bind(root: int, bind: Bind) -> None:
    try:
        mount = mounts.open_tree(bind.source, mounts.OPEN_TREE_CLONE | mounts.AT_RECURSIVE)
    except FileNotFoundError:
        raise InvalidArgument(f"the source of the mount at {bind.destination} does not exist: {bind.source}") from None
    try:
        place = _place(root, bind.destination, stat.S_ISDIR(os.fstat(mount).st_mode))
        try:
            if not bind.writable:
                mounts.set_attributes(mount, mounts.READ_ONLY)
            mounts.attach(mount, place)
        finally:
            os.close(place)
    finally:
        os.close(mount)


def _place(root: int, destination: str, directory: bool) -> int:
    if directory:
        return paths.make_directories(root, destination)
    return paths.make_file(root, destination)


def mount_of(descriptor: int) -> int:
    """The number of the mount that a descriptor is on."""
    with open(f"/proc/self/fdinfo/{descriptor}") as file:
        for line in file:
            if line.startswith("mnt_id:"):
                return int(line.split()[1])
    raise OSError(errno.EINVAL, "no mount")
