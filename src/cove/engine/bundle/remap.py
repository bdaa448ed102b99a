"""The mapping of ids that containers have: which ids of the host stand for theirs, from 0 on. In Docker's words."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from cove.engine.containers.container import Container
from cove.errors import Conflict, InvalidArgument
from cove.oci.runtime import IdMapping
from cove.wire.host_config import HostConfig


class Range(NamedTuple):
    """``size`` ids of the host, from ``first`` on."""

    first: int
    size: int


class Remap(NamedTuple):
    """The ranges that make up a container's ids, one after the other."""

    uids: tuple[Range, ...]
    gids: tuple[Range, ...]

    @property
    def root(self) -> tuple[int, int]:
        """Who a container's root is on the host."""
        return self.uids[0].first, self.gids[0].first

    @property
    def uid_mappings(self) -> list[IdMapping]:
        return _mappings(self.uids)

    @property
    def gid_mappings(self) -> list[IdMapping]:
        return _mappings(self.gids)


def _mappings(ranges: Sequence[Range]) -> list[IdMapping]:
    made: list[IdMapping] = []
    begin = 0
    for first, size in ranges:
        made.append({"containerID": begin, "hostID": first, "size": size})
        begin += size
    return made


def applied(remap: Remap | None, host: HostConfig) -> Remap | None:
    """The mapping of a container: none with ``--userns host``."""
    return None if host.userns_mode == "host" else remap


def check(remap: Remap | None, host: HostConfig) -> None:
    """Raises InvalidArgument for what a container in a user namespace cannot have."""
    if applied(remap, host) is None:
        return
    if host.privileged:
        raise InvalidArgument(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace "
            "when running privileged mode"
        )
    if host.network_mode == "host":
        raise InvalidArgument("cannot share the host's network namespace when user namespaces are enabled")
    if host.pid_mode == "host":
        raise InvalidArgument("cannot share the host PID namespace when user namespaces are enabled")


def check_runtime(remap: Remap | None, host: HostConfig, foreign: bool) -> None:
    """Raises Conflict for another runtime, which could not reach the root through the data root's directories."""
    if foreign and applied(remap, host) is not None:
        raise Conflict(f"the runtime {host.runtime} is not supported with user namespaces: use --userns host")


def joined(remap: Remap, others: dict[str, Container]) -> str:
    """The user namespace that goes with namespaces of ``others``, by kind, or "" for one of the container's own.

    Whoever shares a network, IPC or pid namespace needs rights over it, which come with the user namespace that owns
    it. Raises Conflict when that has other ids.
    """
    found = ""
    for kind, other in others.items():
        path = f"/proc/{other.pid}/ns/user"
        if _mapped(other.pid) != [list(mapping.values()) for mapping in remap.uid_mappings]:
            raise Conflict(f"cannot join the {kind} namespace of container {other.id}: it has other user ids")
        if found and os.stat(found).st_ino != os.stat(path).st_ino:
            raise Conflict(f"cannot join namespaces of containers in different user namespaces: {other.id}")
        found = path
    return found


def _mapped(pid: int) -> list[list[int]]:
    with open(f"/proc/{pid}/uid_map") as file:
        return [[int(word) for word in line.split()] for line in file]
