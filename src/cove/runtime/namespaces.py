"""Which namespaces a container gets, which it shares, and how an exec finds them."""

from typing import NamedTuple

from cove.kernel import namespaces
from cove.oci.runtime import Spec

_JOINED = ("user", "mount", "network", "uts", "ipc", "cgroup")


class Target(NamedTuple):
    """Descriptors of a running container's namespaces; None where it has the host's (the shim's) own.

    The pid namespace is not among them: the shim's children are in it by birth.
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
    """In the shim, before it forks init: its children are to be in the container's pid namespace.

    A new one, the one at the path that the configuration names, or (nothing to do) the host's. Raises OSError.
    """
    path = paths(spec).get("pid")
    if path is None:
        return
    if path:
        namespaces.enter_path(path, "pid")
    else:
        namespaces.unshare(["pid"])


def open_target(pid: int, spec: Spec) -> Target:
    """In the shim, once init has sent Namespaces: descriptors for the execs to come. ``pid``: init's, as we see it.

    Raises OSError when init is gone.
    """
    wanted = paths(spec)
    return Target(**{kind: namespaces.open_namespace(pid, kind) if kind in wanted else None for kind in _JOINED})


def create(spec: Spec) -> None:
    """In init: leave the host's namespaces for new ones and for those at paths; pid is done already."""
    wanted = paths(spec)
    for kind, path in wanted.items():
        if path and kind != "pid":
            namespaces.enter_path(path, kind)
    namespaces.unshare([kind for kind, path in wanted.items() if not path and kind != "pid"])


def join(target: Target) -> None:
    """In an exec: enter the container's namespaces. Root and working directory become those of the container."""
    for kind in _JOINED:
        descriptor: int | None = getattr(target, kind)
        if descriptor is not None:
            namespaces.enter(descriptor, kind)
