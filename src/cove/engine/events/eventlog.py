"""The events that are kept in the database, for those who ask later what happened.

Bounded in rows and in age; the oldest go first. Rows are written in the group commit that happens anyway, or in one of
their own that does not wait for the disk (``Database.note``): a start never waits for its events to be written, and
they survive the end of the daemon, however it ends.
"""

import sqlite3
import time
from typing import NamedTuple

import msgspec

from cove.store import Database
from cove.wire.events import Event

HOUR = 3600 * 1_000_000_000

PRUNE_EVERY = 256
"""Rows that are added between two removals of old ones: by so many the bound may be passed."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode


class Bounds(NamedTuple):
    """``rows``: that are kept; 0 keeps none. ``hours``: that a row is kept for."""

    rows: int = 20_000
    hours: int = 7 * 24


DEFAULT_BOUNDS = Bounds()


class Numbered(NamedTuple):
    """``number``: counts up by one from event to event, over the daemon's restarts too."""

    number: int
    event: Event


class EventLog:
    """Make it before the first ``Database.run``; ``last``: the number of the newest event."""

    def __init__(self, database: Database, bounds: Bounds = DEFAULT_BOUNDS) -> None:
        self._database = database
        self._bounds = bounds
        self._since_prune = PRUNE_EVERY
        self.last = database.load(_last_number)

    def add(self, event: Event) -> Numbered:
        """Number an event and keep it. It is written with the next change of this turn of the event loop, if any."""
        self.last += 1
        if self._bounds.rows:
            row = (self.last, event.time_nano, _encode(event))
            self._since_prune += 1
            prune = self._since_prune > PRUNE_EVERY
            if prune:
                self._since_prune = 0
            self._database.note(lambda connection: self._write(connection, row, prune))
        return Numbered(self.last, event)

    def _write(self, connection: sqlite3.Connection, row: tuple[int, int, bytes], prune: bool) -> None:
        connection.execute("INSERT INTO events (number, time, record) VALUES (?, ?, ?)", row)
        if prune:
            oldest = row[0] - self._bounds.rows
            connection.execute("DELETE FROM events WHERE number <= ? OR time < ?", (oldest, self._horizon()))

    def _horizon(self) -> int:
        return time.time_ns() - self._bounds.hours * HOUR

    async def page(self, after: int, upto: int, since: int, until: int | None, limit: int = 256) -> list[Numbered]:
        """The oldest events, ``limit`` at most, with numbers in (after, upto] and times in [since, until]."""
        since = max(since, self._horizon())
        latest = until if until is not None else (1 << 63) - 1

        def read(connection: sqlite3.Connection) -> list[tuple[int, bytes]]:
            return connection.execute(
                "SELECT number, record FROM events WHERE number > ? AND number <= ? AND time >= ? AND time <= ? "
                "ORDER BY number LIMIT ?",
                (max(after, upto - self._bounds.rows), upto, since, latest, limit),
            ).fetchall()

        return [Numbered(number, _decode(record)) for number, record in await self._database.run(read)]

    async def oldest(self) -> int:
        """The number of the oldest event that can be replayed; one more than ``last`` when there is none."""
        read = "SELECT MIN(number) FROM events WHERE time >= ?"
        (found,) = await self._database.run(lambda connection: connection.execute(read, (self._horizon(),)).fetchone())
        return max(found or self.last + 1, self.last + 1 - self._bounds.rows)


def _last_number(connection: sqlite3.Connection) -> int:
    (last,) = connection.execute("SELECT MAX(number) FROM events").fetchone()
    return last or 0
