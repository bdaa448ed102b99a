"""The worker's jobs about volumes, carried out."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator

from cove.kernel import filesystems
from cove.layers.looking.difference_lines import write_lines
from cove.layers.tree import opened
from cove.layers.volumes import backups, live_mounts
from cove.layers.volumes.tree_copy import copy_tree
from cove.layers.volumes.tree_diff import tree_differences
from cove.layers.worker.pipeline import Input
from cove.layers.worker.staging import Staged, stage
from cove.layers.worker.tree_jobs import (
    AttachMount,
    BackUp,
    CompareTrees,
    CopyTree,
    DetachMount,
    Restore,
    TreeDone,
    TreeJob,
)

_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def run(job: TreeJob, descriptors: list[int], progress: Callable[[int], None]) -> TreeDone:
    """Raises InvalidArgument, OSError; what is half done stays for the caller to remove."""
    match job:
        case CopyTree():
            _copy(job)
        case CompareTrees():
            _compare(job, descriptors[0])
        case BackUp():
            stage(job.staged)
            backups.back_up(os.open(job.source, os.O_PATH | _LISTED), descriptors[0])
        case Restore():
            _restore(job, descriptors[0], progress)
        case AttachMount():
            live_mounts.attach(job, descriptors[-1])
        case DetachMount():
            live_mounts.detach(job, descriptors[-1])
    return TreeDone()


def _copy(job: CopyTree) -> None:
    stage(job.staged)
    with _filled(job.target, job.staged) as target, opened(job.source) as source:
        copy_tree(source, target, job.since)


def _compare(job: CompareTrees, output: int) -> None:
    stage(job.staged)
    with opened(job.old) as old, opened(job.new) as new:
        write_lines(output, tree_differences(old, new))


def _restore(job: Restore, source: int, progress: Callable[[int], None]) -> None:
    stage(job.staged)
    with _filled(job.target, job.staged) as target:
        backups.restore(Input(source, "", "", "", progress, hash_plain=False).pieces(), target, job.limits)


@contextlib.contextmanager
def _filled(path: str, staged: Iterable[Staged]) -> Iterator[int]:
    """A directory that is made when it is missing; what was mounted for it alone is on its disk in the end."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    with opened(path) as directory:
        yield directory
        if any(mount.place == path for mount in staged):
            filesystems.sync(directory)
