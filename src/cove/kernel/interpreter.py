"""A sealed copy of the running Python: an executable that nobody can open for writing, root included.

A process in a container may reach the executable of a process that enters its namespaces, through /proc/<pid>/exe. If
that is the host's Python, a container with enough rights writes to the host. Run from the descriptor that ``seal``
gives: ``os.execve(f"/proc/self/fd/{descriptor}", [sys.executable, ...])``. With the true path as the first argument
the interpreter finds its library and its virtual environment as always.
"""

import os
import sys

from cove.kernel import mounts

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
