"""The daemon's own control group, which holds every container's: made when the daemon starts."""

import logging

from cove.kernel import cgroup_tree
from cove.kernel.cgroups import Cgroup, Layout

log = logging.getLogger(__name__)


def prepare(layout: Layout, parent: str) -> str:
    """Make the group that containers are put in, if it can be made; its path, or "" when it is the root or cannot be.

    The processes of a root that is not the kernel's own (in a container) move aside, so that it can hand controllers
    down.
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
    except (OSError, ValueError) as error:
        log.warning("the control group %s: %s", path, error)
        return ""
    return path
