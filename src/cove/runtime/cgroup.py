"""A container's control groups: made with its limits, changed while it runs, removed after it.

The shim calls ``create`` before it forks init and ``Cgroup.remove`` when the last process is gone.
"""

from cove.kernel import cgroups
from cove.kernel.cgroups import Cgroup
from cove.oci.runtime import Resources


def create(path: str, resources: Resources) -> Cgroup:
    """Make the control groups of a container in every hierarchy and apply its limits.

    ``path``: ``/<parent>/<id>`` from the root of the hierarchies (``linux.cgroupsPath``). Raises OSError with the
    file that refused, ValueError when the path leaves its parent; then nothing is left behind.
    """
    raise NotImplementedError


def update(cgroup: Cgroup, resources: Resources) -> None:
    """Apply the limits that ``resources`` has; those that it has not stay as they are."""
    raise NotImplementedError


def load(path: str) -> Cgroup:
    """The control groups of a container that exists already."""
    return cgroups.Cgroup(cgroups.layout(), path)
