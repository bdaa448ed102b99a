"""When images, volumes and networks were last used by a container: noted when that begins and when it ends."""

import sqlite3
import time

import msgspec

from cove.engine.containers.container import Container
from cove.store import Database, Table
from cove.wire.events import Event

IMAGE, VOLUME, NETWORK = "image", "volume", "network"
_USES = {(VOLUME, "mount"), (VOLUME, "unmount"), (NETWORK, "connect"), (NETWORK, "disconnect")}
_ENDS = {(VOLUME, "destroy"), (NETWORK, "destroy"), (IMAGE, "delete")}
"""The events that tell of a use, and those after which nobody asks any more."""


class Used(msgspec.Struct, omit_defaults=True):
    """``at``: nanoseconds since the epoch."""

    kind: str
    id: str
    at: int


LAST_USE: Table[Used] = Table(
    "last_use", Used, ("kind", "id"), {"kind": lambda used: used.kind, "id": lambda used: used.id}
)


class LastUse:
    """Look-ups are answered from memory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._at = {(used.kind, used.id): used.at for used in database.load(LAST_USE.select)}

    def note_image(self, container: Container) -> None:
        """The container begins to run, or has ended."""
        self._note(Used(IMAGE, container.record.image, time.time_ns()))

    def heed(self, event: Event) -> None:
        """What an event tells of volumes and networks that are used, and of what is gone."""
        what = event.type, event.action
        if what in _USES:
            self._note(Used(event.type, event.actor.id, event.time_nano))
        elif what in _ENDS:
            self._forget(event.type, event.actor.id)

    def of(self, kind: str, identity: str, made: int) -> int:
        """``made``: when it came, for what was never used."""
        return max(self._at.get((kind, identity), 0), made)

    def _note(self, used: Used) -> None:
        self._at[used.kind, used.id] = used.at

        def change(connection: sqlite3.Connection) -> None:
            LAST_USE.put(connection, used)

        self._database.note(change)

    def _forget(self, kind: str, identity: str) -> None:
        if self._at.pop((kind, identity), None) is not None:
            self._database.note(lambda connection: LAST_USE.delete(connection, kind=kind, id=identity))
