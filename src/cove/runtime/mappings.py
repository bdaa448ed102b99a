"""User namespaces with mappings of ids: for a container's own, and for idmapped mounts."""

import os

from cove.kernel import processes, user_namespaces
from cove.oci.idmaps import triples
from cove.oci.runtime import IdMapping, Spec

Mappings = tuple[list[IdMapping], list[IdMapping]]
"""Of users and of groups."""


def create(uids: list[IdMapping], gids: list[IdMapping]) -> int:
    """A new user namespace with these mappings, as a descriptor. Raises OSError, ValueError without mappings."""
    if not uids or not gids:
        raise ValueError("linux.uidMappings and linux.gidMappings: a user namespace needs mappings")
    return user_namespaces.create(triples(uids), triples(gids))


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
