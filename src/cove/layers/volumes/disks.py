"""Jobs on the disks of bounded volumes: the file system in one grows with it, or all is copied to a smaller one."""

import os

from cove.errors import Forbidden
from cove.kernel import filesystems, loops
from cove.layers.volumes.copy_tree import copy_tree
from cove.layers.worker.jobs import CopyDisk, CopyDone, GrowDisk
from cove.layers.worker.staging import stage

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def grow(job: GrowDisk) -> CopyDone:
    """Also while containers have it mounted. Raises OSError, Forbidden where the kernel does not let us."""
    try:
        loops.grow(_mounted(job), job.size)
    except PermissionError as error:
        raise Forbidden(f"{job.place}: {error.strerror}") from error
    return CopyDone()


def copy(job: CopyDisk) -> CopyDone:
    """Raises OSError; the new disk is whole and on the disk when it returns."""
    source = _mounted(job)
    target = os.open(job.target, _DIRECTORY)
    copy_tree(source, target)
    filesystems.sync(target)
    return CopyDone()


def _mounted(job: GrowDisk | CopyDisk) -> int:
    stage(job.staged)
    return os.open(job.place, _DIRECTORY)
