"""Containers in the trash: what is kept of one, and the look-up for those who read from them."""

import time
from collections.abc import Sequence

import msgspec

from cove.engine.containers.container import Container, Paths
from cove.engine.containers.record import Record
from cove.engine.networking.learned import LearnedRecord
from cove.trash import Entry, Trash
from cove.volumes import Volume

KIND = "container"


class Kept(msgspec.Struct, omit_defaults=True):
    """What the trash holds of a container beside its directory. ``volumes``: the anonymous ones that went with it.

    ``learned``: where it went while its egress policy was ``learn``.
    """

    record: Record
    volumes: list[Volume] = msgspec.field(default_factory=list)
    learned: LearnedRecord | None = None


def entry(
    container: Container, volumes: Sequence[Volume], directories: list[str], learned: LearnedRecord | None
) -> Entry:
    """The entry of a container that is being removed. ``directories``: of its volumes."""
    return Entry(
        id=container.id,
        kind=KIND,
        name=container.name,
        removed=time.time_ns(),
        directories=[directory(container.id), *directories],
        content=msgspec.Raw(msgspec.json.encode(Kept(container.record, list(volumes), learned))),
        image=container.record.image,
    )


def directory(container_id: str) -> str:
    """Where a container lies, relative to the data root."""
    return f"containers/{container_id}"


def kept(entry: Entry) -> Kept:
    return msgspec.json.decode(entry.content, type=Kept)


class Removed:
    """Looks containers up in the trash, for reading."""

    def __init__(self, trash: Trash) -> None:
        self._trash = trash

    def get(self, reference: str) -> Container:
        """By id, prefix or name, the last that had it; its paths are those in the trash. Raises NotFound."""
        return self.container(self._trash.find(reference, KIND))

    def container(self, entry: Entry) -> Container:
        data = self._trash.path(entry, directory(entry.id))
        return Container(kept(entry).record, Paths(data, data / "run"))
