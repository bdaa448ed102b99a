"""When images and volumes were last used by a container: noted when a run begins and when it ends."""

import sqlite3
import time

import msgspec

from cove.engine.containers.container import Container
from cove.store import Database, Table

IMAGE, VOLUME = "image", "volume"


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

    def note(self, container: Container) -> None:
        """It begins to run, or has ended."""
        now, record = time.time_ns(), container.record
        self._note(Used(IMAGE, record.image, now))
        for name in {mount.name for mount in record.mounts if mount.kind == "volume"}:
            self._note(Used(VOLUME, name, now))

    def of(self, kind: str, identity: str, made: int) -> int:
        """``made``: when it came, for what was never used."""
        return max(self._at.get((kind, identity), 0), made)

    def forget(self, kind: str, identity: str) -> None:
        if self._at.pop((kind, identity), None) is not None:
            self._database.note(lambda connection: LAST_USE.delete(connection, kind=kind, id=identity))

    def _note(self, used: Used) -> None:
        self._at[used.kind, used.id] = used.at

        def change(connection: sqlite3.Connection) -> None:
            LAST_USE.put(connection, used)

        self._database.note(change)
