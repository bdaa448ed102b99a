"""User namespaces that are made beside this process, for what is given their mappings of ids."""

import os
import select

from cove.kernel import namespaces, processes
from cove.lean import Sequence, signal, suppress

Ids = Sequence[tuple[int, int, int]]
"""The first id inside, the first one outside, and how many."""


def create(users: Ids, groups: Ids) -> int:
    """A new user namespace with these mappings, as a descriptor; this process stays where it is.

    The namespace belongs to a process for a moment, since it needs one to be written to. Raises OSError with what the
    kernel refused.
    """
    ready, made = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _hold(made)
    os.close(made)
    try:
        holder = os.read(ready, 32).decode()
        if not holder:
            raise OSError(1, "a user namespace cannot be made (user.max_user_namespaces?)")
        _write(f"/proc/{holder}/uid_map", users)
        _write(f"/proc/{holder}/gid_map", groups)
        return namespaces.open_namespace(int(holder), "user")
    finally:
        os.close(ready)
        os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):  # the zygote's children are nobody's to wait for
            os.waitpid(pid, 0)


def _hold(made: int) -> None:
    try:
        processes.set_parent_death_signal(signal.SIGKILL)
        namespaces.unshare(["user"])
        os.write(made, os.readlink("/proc/self").encode())  # as /proc counts, which may be of another pid namespace
        select.select([], [], [])
    finally:
        os._exit(1)


def _write(path: str, ids: Ids) -> None:
    lines = [f"{inside} {outside} {size}\n" for inside, outside, size in ids]
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, "".join(lines).encode())
    except OSError as error:
        raise OSError(error.errno, f"write {lines}: {error.strerror}", path) from None
    finally:
        os.close(descriptor)
