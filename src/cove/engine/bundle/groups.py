"""The daemon's own control group, which holds every container's: made when the daemon starts."""

import logging

from cove.kernel import cgroup_tree
from cove.kernel.cgroups import Cgroup, Layout

log = logging.getLogger(__name__)


def prepare(layout: Layout, parent: str, realtime: tuple[int, int] = (0, 0)) -> str:
    """Make the group that containers are put in, if it can be made; its path, or "" when it is the root or cannot be.

    The processes of a root that is not the kernel's own (in a container) move aside, so that it can hand controllers
    down. ``realtime``: period and run time, in microseconds, that it and what it is below may use, 0 for the kernel's.
    """
    path = "/" + "/".join(filter(None, parent.split("/")))
    try:
        if layout.unified and layout.hierarchies:
            cgroup_tree.vacate_root(layout.hierarchies[0].mount_point)
        if path == "/" or not layout.hierarchies:
            return ""
        group = Cgroup(layout, path)
        if layout.unified:
            cgroup_tree.create(group, frozenset())
        else:
            group.create()
            _give_realtime(layout, path, *realtime)
    except (OSError, ValueError) as error:
        log.warning("the control group %s: %s", path, error)
        return ""
    return path


def _give_realtime(layout: Layout, path: str, period: int, runtime: int) -> None:
    """From the root down: no group has more than the one that it is in (sched-rt-group.rst). Raises OSError."""
    names = path.strip("/").split("/")
    for depth in range(1, len(names) + 1):
        group = Cgroup(layout, "/" + "/".join(names[:depth]))
        for file, value in (("cpu.rt_period_us", period), ("cpu.rt_runtime_us", runtime)):
            if value:
                group.write("cpu", file, str(value))
