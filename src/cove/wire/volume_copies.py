"""Copies of volumes: snapshots, clones, backups. Extensions of ours, which no client of Docker asks for."""

from typing import ClassVar

from msgspec import field

from cove.wire.base import Wire
from cove.wire.volumes import Volume


class Stillness(Wire):
    """How long running containers were paused for a copy: their names, and milliseconds from the first to the last."""

    containers: list[str] = field(default_factory=list)
    milliseconds: float = 0.0


class VolumeSnapshot(Wire):
    """``created``: RFC 3339. ``paused``: None unless it has just been made."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"paused"})

    volume: str
    tag: str
    created: str
    paused: Stillness | None = None


class VolumeCloned(Wire):
    volume: Volume
    paused: Stillness


class VolumeRestored(Wire):
    """``made``: whether the volume was not there before."""

    volume: Volume
    made: bool = False


class VolumeFile(Wire):
    """``mode``: as Go's os.FileMode. ``modified``: RFC 3339. ``target``: of a link."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"target"})

    name: str
    size: int
    mode: int
    modified: str
    uid: int = field(name="UID")
    gid: int = field(name="GID")
    target: str = ""
