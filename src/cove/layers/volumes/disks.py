"""Jobs on the disks of bounded volumes: the file system in one grows with it."""

import os

from cove.errors import Forbidden
from cove.kernel import loops
from cove.layers.worker.jobs import CopyDone, GrowDisk
from cove.layers.worker.staging import stage

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def grow(job: GrowDisk) -> CopyDone:
    """Also while containers have it mounted. Raises OSError, Forbidden where the kernel does not let us."""
    stage(job.staged)
    try:
        loops.grow(os.open(job.place, _DIRECTORY), job.size)
    except PermissionError as error:
        raise Forbidden(f"{job.place}: {error.strerror}") from error
    return CopyDone()
