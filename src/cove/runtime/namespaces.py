"""Which namespaces a container gets, which it shares, and how an exec finds them."""

import os

from cove.kernel import namespaces
from cove.lean import NamedTuple
from cove.oci.runtime import Spec

_JOINED = ("user", "mount", "network", "uts", "ipc", "cgroup")
_OF_CHILDREN = ("pid", "time")
"""Namespaces that a process cannot move to itself; only the children that it forks next are in them."""


class Target(NamedTuple):
    """Descriptors of a running container's namespaces; None where it has the host's (the shim's) own.

    The pid and time namespaces are not among them: the shim's children are in them by birth.
    """

    mount: int | None
    network: int | None
    uts: int | None
    ipc: int | None
    cgroup: int | None
    user: int | None


def paths(spec: Spec) -> dict[str, str]:
    """The namespaces that a configuration asks for: kind to the path to enter, "" for a new one."""
    return {entry["type"]: entry.get("path", "") for entry in spec.get("linux", {}).get("namespaces", [])}


def enter_pid(spec: Spec) -> None:
    """In the shim, before it forks init: its children are to be in the container's pid and time namespaces.

    New ones, those at the paths that the configuration names, or (nothing to do) the host's. With a user namespace
    init does it by itself, in ``enter_user``: they must belong to that. Raises OSError.
    """
    if "user" not in paths(spec):
        _enter_for_children(spec)


def enter_children_of(pid: int, spec: Spec) -> None:
    """In the shim, once init is there, when ``enter_pid`` had nothing to do: the execs are to be in its namespaces."""
    wanted = paths(spec)
    if "user" in wanted:
        for kind in _OF_CHILDREN:
            if kind in wanted:
                namespaces.enter_path(f"/proc/{pid}/ns/{namespaces.FILES[kind]}", kind)


def enter_of(pid: int, spec: Spec) -> None:
    """In a process that is to fork an exec and is not the container's shim: its children are to be in the pid and time

    namespaces of the container whose init is ``pid``. Raises OSError.
    """
    wanted = paths(spec)
    for kind in _OF_CHILDREN:
        if kind in wanted:
            namespaces.enter_path(f"/proc/{pid}/ns/{namespaces.FILES[kind]}", kind)


def owns_pid(spec: Spec) -> bool:
    """Whether the container has a pid namespace of its own, in which nothing outlives init."""
    return paths(spec).get("pid") == ""


def _enter_for_children(spec: Spec) -> None:
    wanted = paths(spec)
    for kind in _OF_CHILDREN:
        if wanted.get(kind):
            namespaces.enter_path(wanted[kind], kind)
    namespaces.unshare([kind for kind in _OF_CHILDREN if wanted.get(kind) == ""])
    if wanted.get("time") == "":
        offsets = spec.get("linux", {}).get("timeOffsets") or {}
        if offsets:
            namespaces.set_time_offsets(
                [(clock, offset.get("secs", 0), offset.get("nanosecs", 0)) for clock, offset in offsets.items()]
            )


def open_target(pid: int, spec: Spec) -> Target:
    """In the shim, once init has sent Namespaces: descriptors for the execs to come. ``pid``: init's, as we see it.

    Raises OSError when init is gone.
    """
    wanted = paths(spec)
    return Target(**{kind: namespaces.open_namespace(pid, kind) if kind in wanted else None for kind in _JOINED})


def create(spec: Spec) -> None:
    """In init: leave the host's namespaces for new ones and for those at paths; pid and time are done already."""
    wanted = {kind: path for kind, path in paths(spec).items() if kind not in (*_OF_CHILDREN, "user")}
    _enter_paths(wanted)
    namespaces.unshare([kind for kind, path in wanted.items() if not path])


def enter_user(spec: Spec) -> int | None:
    """In init, before ``create``, when there is a user namespace: enter it and be its root, in a further child.

    The namespaces at paths are entered first, with the rights of the host. Returns the pid of the child to the process
    that was forked, which has nothing more to do, and None to the child. Raises OSError, ValueError.
    """
    from cove.runtime import mappings

    wanted = paths(spec)
    _enter_paths({kind: path for kind, path in wanted.items() if kind not in (*_OF_CHILDREN, "user", "mount")})
    namespace = os.open(wanted["user"], os.O_RDONLY | os.O_CLOEXEC) if wanted["user"] else mappings.of(spec)
    namespaces.enter(namespace, "user")
    os.close(namespace)
    mappings.become_root()
    _enter_for_children(spec)
    return os.fork() or None


def create_in_user(spec: Spec) -> None:
    """What is left of ``create`` after ``enter_user``."""
    wanted = paths(spec)
    if path := wanted.get("mount"):
        namespaces.enter_path(path, "mount")
    namespaces.unshare([kind for kind, path in wanted.items() if not path and kind not in (*_OF_CHILDREN, "user")])


def _enter_paths(wanted: dict[str, str]) -> None:
    """All are opened before any is entered: from another mount namespace the other paths mean something else."""
    opened = {kind: os.open(path, os.O_RDONLY | os.O_CLOEXEC) for kind, path in wanted.items() if path}
    for kind, descriptor in opened.items():
        try:
            namespaces.enter(descriptor, kind)
        except OSError as error:
            raise OSError(error.errno, error.strerror, wanted[kind]) from None
        finally:
            os.close(descriptor)


def join(target: Target) -> None:
    """In an exec: enter the container's namespaces. Root and working directory become those of the container."""
    for kind in _JOINED:
        descriptor: int | None = getattr(target, kind)
        if descriptor is not None:
            namespaces.enter(descriptor, kind)
