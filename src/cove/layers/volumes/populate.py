"""What an image has at the place of an empty volume becomes the volume's content.

It is copied beside the volume's directory and then takes its place in one rename; or, where that directory is a mount
or another container has it, into a directory inside and from there up, entry by entry. What a killed job leaves beside
is collected at the next start, what it leaves inside by the next job.
"""

import contextlib
import os
import stat

from cove.errors import InvalidArgument
from cove.kernel import layer_images, overlay, paths
from cove.layers.tree import remove_tree
from cove.layers.volumes.copy_tree import copy_tree
from cove.layers.worker.jobs import Populate, PopulateDone
from cove.layers.worker.staging import stage

BESIDE = "_copy"
"""The name beside ``_data``."""

INSIDE = b".cove-copy-up"
_LOST = b"lost+found"
"""What a new ext4 has."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def populate(job: Populate) -> PopulateDone:
    """Copy, unless the volume has something or the image has nothing there.

    Raises InvalidArgument for what is no directory, OSError.
    """
    stage(())
    source = _source(job)
    if source is None or not job.target:
        return PopulateDone(source is not None)
    stage(job.staged)
    target = os.open(job.target, _DIRECTORY)
    if not _is_empty(target):
        return PopulateDone(True)
    if job.replaces and not os.path.islink(job.target) and not os.path.ismount(job.target):
        _copy_beside(source, job.target)
    else:
        _copy_inside(source, target)
    return PopulateDone(True)


def _source(job: Populate) -> int | None:
    """The directory of the image, links in it followed as in a container."""
    root = _mounted(job.lower)
    try:
        found = paths.open_in_root(root, job.path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    if not stat.S_ISDIR(os.fstat(found).st_mode):
        raise InvalidArgument(f"cannot mount volume over existing file, file exists {job.path}")
    return found


def _mounted(lower: list[str]) -> int:
    if len(lower) > 1:
        return overlay.mount_read_only(lower)
    if layer_images.is_image(lower[0]):
        return layer_images.mount(lower[0])
    return os.open(lower[0], _DIRECTORY)


def _is_empty(target: int) -> bool:
    """What a job that was killed left inside is removed."""
    names = [name for name in map(os.fsencode, os.listdir(target)) if name != _LOST]
    if names == [INSIDE]:
        remove_tree(target, INSIDE)
        return True
    return not names


def _copy_beside(source: int, place: str) -> None:
    beside = os.path.join(os.path.dirname(place), BESIDE)
    parent = os.open(os.path.dirname(place), _DIRECTORY)
    with contextlib.suppress(FileNotFoundError):
        remove_tree(parent, os.fsencode(BESIDE))
    os.mkdir(beside, 0o700)
    try:
        copy_tree(source, os.open(beside, _DIRECTORY))
        os.rename(beside, place)
    except BaseException:
        remove_tree(parent, os.fsencode(BESIDE))
        raise


def _copy_inside(source: int, target: int) -> None:
    os.mkdir(INSIDE, 0o700, dir_fd=target)
    inside = os.open(INSIDE, _DIRECTORY, dir_fd=target)
    try:
        copy_tree(source, inside)
        for name in os.listdir(inside):
            os.rename(name, name, src_dir_fd=inside, dst_dir_fd=target)
        found = os.fstat(inside)
        os.fchown(target, found.st_uid, found.st_gid)
        os.fchmod(target, stat.S_IMODE(found.st_mode))
    finally:
        remove_tree(target, INSIDE)
