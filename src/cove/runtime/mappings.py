"""User namespaces with mappings of ids: for a container's own, and for idmapped mounts."""

import os
import select
import signal
from contextlib import suppress

from cove.kernel import namespaces, processes
from cove.oci.runtime import IdMapping, Spec

Mappings = tuple[list[IdMapping], list[IdMapping]]
"""Of users and of groups."""


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
        with suppress(ChildProcessError):  # the zygote's children are nobody's to wait for
            os.waitpid(pid, 0)


_kept: dict[str, int] = {}
_spare: dict[str, int] = {}
"""A user namespace for the next container, by its mapping: making one takes longer than all else of it."""


def keep(mappings: Mappings) -> None:
    """Have a user namespace for idmapped mounts ready for this process and those that it forks. Raises OSError."""
    key = repr(tuple(mappings))
    if key not in _kept:
        forget()
        _kept[key] = create(*(_with_host_root(each) for each in mappings))


def is_kept(mappings: Mappings) -> bool:
    return repr(tuple(mappings)) in _kept


def renew_spare(mappings: Mappings) -> None:
    """Have a namespace ready for the next container; the former one is another process's now. Raises OSError."""
    while _spare:
        os.close(_spare.popitem()[1])
    _spare[repr(tuple(mappings))] = create(*mappings)


def forget() -> None:
    """Close what is kept."""
    for each in (_kept, _spare):
        while each:
            os.close(each.popitem()[1])


def kept() -> list[int]:
    """The descriptors of what is kept."""
    return [*_kept.values(), *_spare.values()]


def for_mounts(mappings: Mappings) -> int:
    """The user namespace whose mappings idmapped mounts of a container's own files are to have. Raises OSError."""
    keep(mappings)
    return _kept[repr(tuple(mappings))]


def _with_host_root(mappings: list[IdMapping]) -> list[IdMapping]:
    """With an id on the disk for the host's root, after all others: what an overlay makes in its work directory, and

    whiteouts, are files of it, and nobody owns a file whose owner has no id.
    """
    if any(entry["hostID"] == 0 for entry in mappings):
        return mappings
    end = max(entry["containerID"] + entry["size"] for entry in mappings)
    return [*mappings, {"containerID": end, "hostID": 0, "size": 1}]


def root(spec: Spec) -> tuple[int, int]:
    """Who the container's root is on the host: its user and its group; -1 for one without."""
    linux = spec.get("linux", {})
    return _host_id(linux.get("uidMappings") or []), _host_id(linux.get("gidMappings") or [])


def _host_id(mappings: list[IdMapping]) -> int:
    return next((entry["hostID"] for entry in mappings if entry["containerID"] == 0), -1)


def of(spec: Spec) -> int:
    """A new user namespace with the container's mappings."""
    linux = spec.get("linux", {})
    spare = _spare.pop(repr((linux.get("uidMappings"), linux.get("gidMappings"))), None)
    if spare is not None:
        return spare
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
