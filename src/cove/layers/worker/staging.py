"""Mounts that a job needs, in a mount namespace that goes with it."""

from collections.abc import Sequence

from cove.kernel import mounts, namespaces, staged_mounts
from cove.layers.worker.jobs import Staged


def stage(staged: Sequence[Staged]) -> None:
    """Leave the host's mount namespace and make them. Raises OSError in Docker's words."""
    namespaces.unshare(["mount"])
    mounts.set_propagation("/", mounts.PRIVATE)
    staged_mounts.attach_all(mount.made() for mount in staged)
