"""A sealed copy of the running Python: an executable that nobody can open for writing, root included.

A process in a container may reach the executable of a process that enters its namespaces, through /proc/<pid>/exe. If
that is the host's Python, a container with enough rights writes to the host. Run from the descriptor that ``seal``
gives: ``os.execve(f"/proc/self/fd/{descriptor}", [sys.executable, ...])``. With the true path as the first argument
the interpreter finds its library and its virtual environment as always.
"""

import os
import sys

from cove.kernel import mounts
from cove.lean import suppress

_SEALS = 0x0001 | 0x0002 | 0x0004 | 0x0008  # F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE
_F_ADD_SEALS = 1033


def seal(executable: str | None = None) -> int:
    """A descriptor of a sealed copy of ``executable`` (this interpreter), inheritable; needs root.

    It is the file itself on a detached read-only mount: nothing is copied, and pages are shared with every other
    Python. Where that cannot be had, it is a sealed copy in memory.
    """
    path = os.path.realpath(executable or sys.executable)
    try:
        descriptor = _read_only_mount(path)
    except OSError:
        descriptor = _sealed_memory(path)
    os.set_inheritable(descriptor, True)
    return descriptor


def keep_sealed(executable: str, place: str) -> None:
    """Leave ``executable`` on a read-only mount at ``place``, for whoever starts it later.

    What is there of another file, as before an upgrade, goes. Two that come at once do it once. Raises OSError, and
    BlockingIOError for the second of two.
    """
    mask = os.umask(0o022)  # nobody else is to say where its library is
    try:
        _keep_sealed(os.path.realpath(executable), place)
    finally:
        os.umask(mask)


def _keep_sealed(path: str, place: str) -> None:
    import fcntl

    directory = os.path.dirname(place)
    os.makedirs(directory, exist_ok=True)
    lock = os.open(f"{directory}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.exists(place) and os.path.samefile(place, path):
            return
        with suppress(OSError):  # when none is left
            while True:
                mounts.unmount(place)
        with open(f"{directory}/pyvenv.cfg", "w", encoding="utf-8") as file:
            file.write(f"home = {os.path.dirname(path)}\n")  # where the interpreter looks for its library
        os.close(os.open(place, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o500))
        _attach_read_only(path, place)
    finally:
        os.close(lock)


def _attach_read_only(path: str, place: str) -> None:
    tree = mounts.open_tree(path, mounts.OPEN_TREE_CLONE)
    target = os.open(place, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        mounts.set_attributes(tree, mounts.READ_ONLY)
        mounts.attach(tree, target)
    finally:
        os.close(target)
        os.close(tree)


def _read_only_mount(path: str) -> int:
    tree = mounts.open_tree(path, mounts.OPEN_TREE_CLONE)
    try:
        mounts.set_attributes(tree, mounts.READ_ONLY)
        return os.open(f"/proc/self/fd/{tree}", os.O_PATH | os.O_CLOEXEC)
    finally:
        os.close(tree)


def _sealed_memory(path: str) -> int:
    import fcntl

    memory = os.memfd_create(os.path.basename(path), os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(path, "rb") as source:
        size = os.fstat(source.fileno()).st_size
        copied = 0
        while copied < size:
            copied += os.sendfile(memory, source.fileno(), copied, size - copied)
    os.fchmod(memory, 0o555)
    fcntl.fcntl(memory, _F_ADD_SEALS, _SEALS)
    read_only = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY | os.O_CLOEXEC)
    os.close(memory)  # a descriptor that is open for writing makes execve fail with ETXTBSY
    return read_only
