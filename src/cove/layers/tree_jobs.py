"""The worker's jobs about whole directories of the data root, which are volumes' and their snapshots': the messages."""

import msgspec

from cove.layers.tar import Limits


class CopyTree(msgspec.Struct, frozen=True, tag=True):
    """Make the directory ``target`` like ``source``; it is made when it is missing. ``since``: see ``tree_copy``."""

    source: str
    target: str
    since: int = 0


class CompareTrees(msgspec.Struct, frozen=True, tag=True):
    """Write how the directory ``new`` differs from ``old`` to the second descriptor: a line of JSON for each name."""

    old: str
    new: str


class BackUp(msgspec.Struct, frozen=True, tag=True):
    """Write a directory as a backup to the second descriptor."""

    source: str


class Restore(msgspec.Struct, frozen=True, tag=True):
    """Unpack the backup of the second descriptor, compressed or not, into the new directory ``target``."""

    target: str
    limits: Limits = Limits()


TreeJob = CopyTree | CompareTrees | BackUp | Restore


class TreeDone(msgspec.Struct, frozen=True, tag=True):
    pass
