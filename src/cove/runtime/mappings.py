"""User namespaces with mappings of ids: for a container's own, and for idmapped mounts."""

import os
import select
import signal

from cove.kernel import namespaces, processes
from cove.oci.runtime import IdMapping, Spec


def create(uids: list[IdMapping], gids: list[IdMapping]) -> int:
    """A new user namespace with these mappings, as a descriptor; this process stays where it is.

    The namespace belongs to a process for a moment, since it needs one to be written to. Raises OSError with what the
    kernel refused, ValueError without mappings.
    """
    if not uids or not gids:
        raise ValueError("linux.uidMappings and linux.gidMappings: a user namespace needs mappings")
    ready, made = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _hold(made)
    os.close(made)
    try:
        holder = os.read(ready, 32).decode()
        if not holder:
            raise OSError(1, "a user namespace cannot be made (user.max_user_namespaces?)")
        _write(f"/proc/{holder}/uid_map", uids)
        _write(f"/proc/{holder}/gid_map", gids)
        return namespaces.open_namespace(int(holder), "user")
    finally:
        os.close(ready)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def of(spec: Spec) -> int:
    """A new user namespace with the container's mappings."""
    linux = spec.get("linux", {})
    return create(linux.get("uidMappings") or [], linux.get("gidMappings") or [])


def become_root() -> None:
    """User and group 0 of the user namespace that was just entered."""
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    processes.set_dumpable(False)


def _hold(made: int) -> None:
    try:
        processes.set_parent_death_signal(signal.SIGKILL)
        namespaces.unshare(["user"])
        os.write(made, os.readlink("/proc/self").encode())  # as /proc counts, which may be of another pid namespace
        select.select([], [], [])
    finally:
        os._exit(1)


def _write(path: str, mappings: list[IdMapping]) -> None:
    lines = [f"{entry['containerID']} {entry['hostID']} {entry['size']}\n" for entry in mappings]
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, "".join(lines).encode())
    except OSError as error:
        raise OSError(error.errno, f"write {lines}: {error.strerror}", path) from None
    finally:
        os.close(descriptor)
