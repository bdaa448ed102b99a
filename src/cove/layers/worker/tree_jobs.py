"""The worker's jobs about volumes: whole directories of the data root, and their mounts in containers that run."""

import msgspec

from cove.layers.tar.reader import Limits
from cove.layers.worker.staging import Staged


class CopyTree(msgspec.Struct, frozen=True, tag=True):
    """Make the directory ``target`` like ``source``; it is made when it is missing. ``since``: see ``tree_copy``.

    ``staged``, here and below: what is mounted first, for the job alone.
    """

    source: str
    target: str
    since: int = 0
    staged: list[Staged] = msgspec.field(default_factory=list)


class CompareTrees(msgspec.Struct, frozen=True, tag=True):
    """Write how the directory ``new`` differs from ``old`` to the second descriptor: a line of JSON for each name."""

    old: str
    new: str
    staged: list[Staged] = msgspec.field(default_factory=list)


class BackUp(msgspec.Struct, frozen=True, tag=True):
    """Write a directory as a backup to the second descriptor."""

    source: str
    staged: list[Staged] = msgspec.field(default_factory=list)


class Restore(msgspec.Struct, frozen=True, tag=True):
    """Unpack the backup of the second descriptor, compressed or not, into the directory ``target``.

    That is made, or empty.
    """

    target: str
    limits: Limits = Limits()
    staged: list[Staged] = msgspec.field(default_factory=list)


class AttachMount(msgspec.Struct, frozen=True, tag=True):
    """Mount ``source`` in the container whose mount namespace is the last descriptor, once ``staged`` is mounted.

    ``mapped``: owners are shown by the container's ids, when it has a user namespace. ``recursion``, ``propagation``,
    ``idmap``: as a container's mounts have them. ``user``: the container's, for ``match-user``. ``root``: who the
    container's root is on the host.
    """

    source: str
    destination: str
    writable: bool = True
    mapped: bool = False
    staged: list[Staged] = msgspec.field(default_factory=list)
    recursion: str = ""
    propagation: str = ""
    idmap: str = ""
    user: str = ""
    root: tuple[int, int] = (0, 0)


class DetachMount(msgspec.Struct, frozen=True, tag=True):
    """Take a mount from the container whose mount namespace is the last descriptor."""

    destination: str


TreeJob = CopyTree | CompareTrees | BackUp | Restore | AttachMount | DetachMount


class TreeDone(msgspec.Struct, frozen=True, tag=True):
    pass
