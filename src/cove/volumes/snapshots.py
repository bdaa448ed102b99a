"""Snapshots of local volumes: ``volumes/<name>/snapshots/<tag>/_data``, beside the volume's own ``_data``.

A snapshot is what lies on disk, and has no row: it is made under a name that begins with a dot and renamed when it is
whole. So it moves with its volume, into the trash as well, and what has such a name at a start was never finished.
"""

import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cove.errors import Conflict, InvalidArgument, NotFound
from cove.kernel import renames

DATA = "_data"
MOST = 1000
"""Snapshots of one volume."""

_BEGUN = ".new-"

_TAG = re.compile("[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")


class Snapshot(NamedTuple):
    """``created``: nanoseconds since the epoch."""

    tag: str
    created: int


class Snapshots:
    """``root``: the directory of all volumes. Whoever calls holds the volume's lock."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def all(self, volume: str) -> Sequence[Snapshot]:
        """The oldest first."""
        try:
            found = [Snapshot(entry.name, entry.stat().st_mtime_ns) for entry in os.scandir(self._place(volume))]
        except FileNotFoundError:
            return []
        return sorted(found, key=lambda snapshot: (snapshot.created, snapshot.tag))

    def path(self, volume: str, tag: str) -> Path:
        """The files of a snapshot. Raises NotFound."""
        path = self._place(volume) / checked_tag(tag) / DATA
        if not path.is_dir():
            raise NotFound(f"volume {volume} has no snapshot {tag}")
        return path

    def refuse_taken(self, volume: str, tag: str) -> None:
        """Raises Conflict for a tag that a snapshot has, or when there are too many."""
        if (self._place(volume) / checked_tag(tag)).exists():
            raise Conflict(f"volume {volume} already has a snapshot {tag}")
        if len(self.all(volume)) >= MOST:
            raise Conflict(f"volume {volume} already has {MOST} snapshots")

    def begin(self, volume: str) -> Path:
        """A new directory in which ``_data`` is to be made."""
        made = self._root / volume / f"{_BEGUN}{secrets.token_hex(8)}"
        made.parent.mkdir(mode=0o701, exist_ok=True)  # a plug-in's volume has none before
        made.mkdir(mode=0o700)
        return made

    def finish(self, volume: str, made: Path, tag: str) -> Snapshot:
        """What was begun is whole now."""
        os.utime(made)
        self._place(volume).mkdir(mode=0o700, exist_ok=True)
        made.rename(self._place(volume) / tag)
        return Snapshot(tag, (self._place(volume) / tag).stat().st_mtime_ns)

    def withdraw(self, volume: str, tag: str) -> Path:
        """Take a snapshot away: the directory that is to be removed. Raises NotFound."""
        gone = self.path(volume, tag).parent
        return gone.rename(self._root / volume / f"{_BEGUN}{secrets.token_hex(8)}")

    def exchange(self, volume: str, made: Path) -> None:
        """``_data`` of what was begun becomes the volume's own, and the volume's own the other, in one step."""
        own, new = self._root / volume / DATA, made / DATA
        was = new.stat()
        renames.exchange(str(own), str(new))
        os.utime(own, ns=(was.st_atime_ns, was.st_mtime_ns))  # XFS takes the exchange for a change of it

    def unfinished(self, volume: str) -> Sequence[Path]:
        """What was begun and never finished."""
        return list((self._root / volume).glob(f"{_BEGUN}*"))

    def _place(self, volume: str) -> Path:
        return self._root / volume / "snapshots"


def checked_tag(tag: str) -> str:
    """Raises InvalidArgument."""
    if not _TAG.fullmatch(tag):
        raise InvalidArgument(f"tag: {tag!r} is not a letter or digit and up to 127 more of them or of _, . and -")
    return tag
