"""The tree of version 2: which controllers its groups hand down, and the rules about where processes may be.

A group hands a controller down to its children only when it has it, and only while it has no processes of its own; the
root is exempt (cgroup-v2.rst, "No Internal Process Constraint"). Below a threaded group only controllers that know
threads work ("Threads").
"""

import errno
import os

from cove.kernel.cgroups import Cgroup, make_directory, read_file, write_file
from cove.lean import suppress

THREADED = frozenset({"cpu", "cpuset", "perf_event", "pids"})
"""The controllers that know threads; the others are domain controllers."""

INNER = "init"
"""The group into which the processes of a root that is none (a container's) move, so that it may hand down."""


def create(cgroup: Cgroup, wanted: frozenset[str]) -> None:
    """Make the group of a container and hand all controllers down to it.

    ``wanted``: the controllers that it has limits of. Raises OSError that says which of the rules stands against it.
    """
    hierarchy = cgroup.layout.hierarchies[0]
    make_directory(hierarchy, cgroup.path)
    directory = hierarchy.mount_point
    for name in cgroup.path.split("/")[1:]:
        _hand_down(directory, wanted)
        directory = f"{directory}/{name}"
        _settle_kind(directory, wanted)
    _check_controllers(directory, wanted)


def _hand_down(directory: str, wanted: frozenset[str]) -> None:
    """Enable in the children what the group has. A refusal matters when the controller is wanted."""
    enabled = _words(directory, "cgroup.subtree_control")
    missing = [name for name in _words(directory, "cgroup.controllers") if name not in enabled]
    if not missing:
        return
    with suppress(OSError):
        write_file(f"{directory}/cgroup.subtree_control", " ".join(f"+{name}" for name in missing))
        return
    for name in missing:  # one at a time: a controller that cannot be must not take the others with it
        try:
            write_file(f"{directory}/cgroup.subtree_control", f"+{name}")
        except OSError as error:
            if name in wanted:
                raise _explained(error, directory, name) from None


def _explained(error: OSError, directory: str, name: str) -> OSError:
    if error.errno == errno.EBUSY:
        words = f"the control group has processes of its own, and so cannot hand the controller {name} down"
        return OSError(errno.EBUSY, words, directory)
    return error


def _settle_kind(directory: str, wanted: frozenset[str]) -> None:
    """A group below a threaded one, or below one with processes, takes processes only as a threaded one."""
    kind = read_file(f"{directory}/cgroup.type")
    if kind not in ("domain invalid", "threaded", "domain threaded"):
        return
    domain = sorted(wanted - THREADED)
    if domain:
        words = f"the control group is {kind}, where the controllers {', '.join(domain)} cannot limit anything"
        raise OSError(errno.EOPNOTSUPP, words, directory)
    if kind == "domain invalid":
        write_file(f"{directory}/cgroup.type", "threaded")


def _check_controllers(directory: str, wanted: frozenset[str]) -> None:
    present = _words(directory, "cgroup.controllers")
    absent = sorted(wanted - set(present))
    if absent:
        raise OSError(errno.ENOENT, f"the controllers {', '.join(absent)} are not handed down to the group", directory)


def vacate_root(mount_point: str) -> None:
    """Move the processes of a root that is not the kernel's own into a group of their own.

    A container with a control group namespace sees its own group as the root; for a daemon in it that root is to hand
    controllers down, which it cannot while the daemon and its parents are in it. Raises OSError.
    """
    if not os.path.exists(f"{mount_point}/cgroup.type"):  # the kernel's own root has none, and may hold processes
        return
    while pids := [pid for pid in _words(mount_point, "cgroup.procs") if pid != "0"]:
        with suppress(FileExistsError):
            os.mkdir(f"{mount_point}/{INNER}", 0o755)
        moved = [_move(pid, f"{mount_point}/{INNER}") for pid in pids]
        if not any(moved):
            return


def _move(pid: str, directory: str) -> bool:
    try:
        write_file(f"{directory}/cgroup.procs", pid)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.EINVAL):  # ended; a thread of the kernel
            raise
        return False
    return True


def _words(directory: str, file: str) -> list[str]:
    return (read_file(f"{directory}/{file}") or "").split()
