"""Where containers went under the egress policy ``learn``, and what they called it: kept beyond their runs.

Names come from the resolver, places from the kernel, each while no daemon is there too: the resolver says again what it
knows when a daemon comes, the kernel's sets are read when they are asked for and at the end of a run. Only here the two
are joined. A container's row goes with the container.
"""

import asyncio
import sqlite3
from collections.abc import Sequence

import msgspec

from cove.network import Destination, Reached, destinations
from cove.store import Database, Table
from cove.store.database import Change

MAX_NAMES, MAX_ADDRESSES, MAX_PLACES = 512, 64, 4096
"""What is kept of one container: some 300 KiB at the most."""

WRITING_SECONDS = 1.0
"""From a new name to its writing: a daemon that is killed in between hears it from the resolver again."""


class LearnedRecord(msgspec.Struct, omit_defaults=True):
    """The row of a container. ``names``: what each name that it asked for stood for. ``places``: where it has been."""

    container: str
    names: dict[str, list[str]] = msgspec.field(default_factory=dict)
    places: list[Reached] = msgspec.field(default_factory=list)


LEARNED: Table[LearnedRecord] = Table(
    "learned", LearnedRecord, ("container",), {"container": lambda record: record.container}
)


class Learned:
    """The rows, and what is to become of them. Made before the first ``Database.run``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records = {record.container: record for record in database.load(LEARNED.select)}
        self._unwritten: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    def named(self, container: str, name: str, addresses: Sequence[str]) -> None:
        """A container asked for a name."""
        record = self._record(container)
        if name not in record.names and len(record.names) >= MAX_NAMES:
            return
        known = record.names.setdefault(name, [])
        fresh = [address for address in addresses if address not in known][: MAX_ADDRESSES - len(known)]
        if fresh:
            known += fresh
            self._unwritten.add(container)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(WRITING_SECONDS, self._write)

    def reached(self, container: str, places: Sequence[Reached]) -> None:
        """A container has been somewhere; the kernel is about to forget it."""
        record = self._record(container)
        known = set(record.places)
        fresh = [place for place in dict.fromkeys(places) if place not in known]
        record.places += fresh[: MAX_PLACES - len(record.places)]
        self._unwritten.add(container)
        self._write()

    def destinations(self, container: str, now: Sequence[Reached]) -> list[Destination]:
        """What a policy would have to allow. ``now``: what the kernel has noted of this run."""
        record = self._records.get(container) or LearnedRecord(container)
        return destinations([*record.places, *now], record.names)

    def of(self, container: str) -> LearnedRecord | None:
        """What is kept of a container, for the trash."""
        return self._records.get(container)

    def restoring(self, record: LearnedRecord) -> Change:
        """What brings back a row, in the transaction that brings its container back; then ``restored``."""
        return LEARNED.putting(record)

    def restored(self, record: LearnedRecord) -> None:
        self._records[record.container] = record

    def forget(self, container: str) -> None:
        """Begin anew, or the container is gone."""
        if self._records.pop(container, None) is not None:
            self._database.note(lambda connection: LEARNED.delete(connection, container=container))

    def close(self) -> None:
        self._write()

    def _record(self, container: str) -> LearnedRecord:
        return self._records.setdefault(container, LearnedRecord(container))

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        unwritten, self._unwritten = self._unwritten, set()
        for container in unwritten & self._records.keys():
            self._database.note(_putting(self._records[container]))


def _putting(record: LearnedRecord) -> Change:
    put = LEARNED.putting(record)

    def change(connection: sqlite3.Connection) -> None:
        """Unless the container has been removed."""
        if connection.execute("SELECT 1 FROM containers WHERE id = ?", (record.container,)).fetchone():
            put(connection)

    return change
