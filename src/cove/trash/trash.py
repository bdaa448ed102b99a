"""The trash of one data root: ``trash/<id>/`` holds an entry's directories at the paths that they had below the root.

An entry is a row, and the row is the truth: while it is there, its directories belong in the trash, wherever they are
found; what lies in the trash without a row is garbage. In: the row is written in the transaction that deletes the
thing's own rows, then the directories are moved. Out: the directories are moved back, then the row goes in the
transaction that writes the thing's rows. So a ``kill -9`` at any point leaves it wholly here or wholly there.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from cove.errors import CoveError, InvalidArgument, NoSpace, NotFound
from cove.store import Database, Table

T = TypeVar("T")

log = logging.getLogger(__name__)

MINUTE = 60 * 1_000_000_000

MOST_ENTRIES = 1000
"""Whatever the budget says: each has a few directories, and so inodes."""

WATCHED_EVERY = 2.0
"""Seconds between two looks at the free space while the trash has anything."""

LOW_WATER = 1 << 30
LOW_WATER_PERCENT = 2
"""Bytes that are to be free, or this share of a disk that is small: with less, the trash is emptied."""


class Budget(msgspec.Struct, frozen=True):
    """``minutes`` that an entry is kept, and ``percent`` of the disk that all may take. 0 of either: no trash."""

    minutes: int = 60
    percent: int = 5


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was removed.

    ``kind``: of thing. ``removed``: nanoseconds since the epoch. ``directories``: relative to the data root.
    ``image``: the id of the image that must stay for it, if any. ``content``: the record that its owner wrote.
    """

    id: str
    kind: str
    name: str
    removed: int
    directories: list[str]
    content: msgspec.Raw
    image: str = ""


TRASH: Table[Entry] = Table(
    "trash",
    Entry,
    ("id",),
    {"id": lambda entry: entry.id, "removed": lambda entry: entry.removed, "image": lambda entry: entry.image},
)

Change = Callable[[sqlite3.Connection], None]


class Trash:
    """Look-ups are answered from memory. ``open`` before anything else looks at the data root, ``close`` at the end.

    ``measure`` gives the bytes below a directory; ``on_gone`` is called with
    every entry that cannot come back any more.
    """

    def __init__(self, database: Database, data_root: Path, budget: Budget, measure: Callable[[Path], int]) -> None:
        self._database = database
        self._data_root = data_root
        self._root = data_root / "trash"
        self._budget = budget
        self._measure = measure
        self._entries: dict[str, Entry] = {}
        self._sizes: dict[str, int] = {}
        self._garbage: list[Path] = []
        self._changed = asyncio.Event()
        self._lock = asyncio.Lock()  # held while an entry goes
        self._keeper: asyncio.Task[None] | None = None
        self.on_gone: Callable[[Entry], Awaitable[None]] | None = None

    @property
    def enabled(self) -> bool:
        return self._budget.minutes > 0 and self._budget.percent > 0

    def open(self) -> None:
        """Read the rows, and put every directory where its row says. Before the first ``Database.run``."""
        self._root.mkdir(mode=0o700, exist_ok=True)
        for entry in sorted(self._database.load(TRASH.select), key=lambda entry: entry.removed):
            self._entries[entry.id] = entry
            self.move_in(entry)
        self._garbage = [directory for directory in self._root.iterdir() if directory.name not in self._entries]

    def watch(self) -> None:
        """Begin to keep within the budget."""
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Let it be as it is; a deletion that is under way is finished by the next daemon."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    # looking

    def __iter__(self) -> Iterator[Entry]:
        """The newest first."""
        return iter(list(self._entries.values())[::-1])

    def find(self, reference: str, kind: str = "") -> Entry:
        """By id, by name (the last one that had it), or by a unique prefix of an id. ``kind``: of thing, or any.

        Raises NotFound.
        """
        name = reference.removeprefix("/")
        entries = [entry for entry in self if kind in ("", entry.kind)]
        found = next((entry for entry in entries if name in (entry.id, entry.name)), None)
        if found is not None:
            return found
        matches = [entry for entry in entries if name and entry.id.startswith(name)]
        if len(matches) > 1:
            raise InvalidArgument(f"Multiple IDs found in the trash with provided prefix: {reference}")
        if not matches:
            raise NotFound(f"No such {kind or 'container or volume'} in the trash: {reference}")
        return matches[0]

    def path(self, entry: Entry, directory: str) -> Path:
        """Where one of an entry's directories lies now."""
        return self._root / entry.id / directory

    def size(self, entry: Entry) -> int | None:
        """Bytes; None until it is measured."""
        return self._sizes.get(entry.id)

    def expires(self, entry: Entry) -> int:
        """When it goes at the latest, in nanoseconds since the epoch."""
        return entry.removed + self._budget.minutes * MINUTE

    # in and out

    async def put(self, entry: Entry, *also: Change) -> None:
        """Move a thing in. ``also``: what goes with its row in the same transaction."""

        def change(connection: sqlite3.Connection) -> None:
            self.adding(entry)(connection)
            for other in also:
                other(connection)

        await self._database.run(change)
        self.added(entry)

    def adding(self, entry: Entry) -> Change:
        """The change that puts the row in. ``added`` follows when it is on disk."""
        return TRASH.inserting(entry)

    def added(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        self.move_in(entry)
        self._changed.set()

    def taking(self, entry: Entry) -> Change:
        """The change that takes the row out. ``taken`` follows when it is on disk."""

        def change(connection: sqlite3.Connection) -> None:
            TRASH.delete(connection, id=entry.id)

        return change

    def taken(self, entry: Entry) -> None:
        self._forget(entry)
        shutil.rmtree(self._root / entry.id, ignore_errors=True)  # only empty directories are left

    def move_in(self, entry: Entry) -> None:
        """Move the entry's directories into the trash: those that are not there yet."""
        for directory in entry.directories:
            inside = self.path(entry, directory)
            if not inside.exists():
                inside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):
                    os.rename(self._data_root / directory, inside)

    def move_back(self, entry: Entry) -> None:
        """Move them to where they were. Raises OSError."""
        for directory in entry.directories:
            with contextlib.suppress(FileNotFoundError):
                os.rename(self.path(entry, directory), self._data_root / directory)

    @contextlib.asynccontextmanager
    async def held(self, reference: str) -> AsyncIterator[Entry]:
        """An entry that does not go meanwhile; the last one that was removed for an empty reference."""
        async with self._lock:
            if reference:
                yield self.find(reference)
                return
            last = next(iter(self), None)
            if last is None:
                raise NotFound("the trash is empty: there is nothing to bring back")
            yield last

    # out for good

    async def remove(self, reference: str) -> Entry:
        """Delete an entry. Raises NotFound."""
        async with self.held(reference or "/") as entry:
            await self._expunge(entry)
        return entry

    async def empty(self) -> tuple[list[Entry], int]:
        """Delete all of it: what went, and the bytes, as far as they were measured."""
        async with self._lock:
            entries = list(self)
            size = sum(self._sizes.get(entry.id, 0) for entry in entries)
            for entry in entries:
                await self._expunge(entry)
        return entries, size

    async def relieve(self) -> bool:
        """The disk is full: delete all, the files before the rows, which need room. Whether there was any."""
        async with self._lock:
            entries = list(self)
            for entry in entries:
                await asyncio.to_thread(shutil.rmtree, self._root / entry.id, ignore_errors=True)
            for entry in entries:
                await self._expunge(entry)
        return bool(entries)

    async def making_room(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Do it, and once more with an empty trash if there was no room for it. Raises NoSpace, and what it raises."""
        try:
            return await attempt()
        except NoSpace:
            if not await self.relieve():
                raise
        log.warning("the disk is full: the trash was emptied")
        return await attempt()

    async def _expunge(self, entry: Entry) -> None:
        await self._database.run(self.taking(entry))
        self._forget(entry)
        await asyncio.to_thread(shutil.rmtree, self._root / entry.id, ignore_errors=True)
        if self.on_gone is not None:
            await self.on_gone(entry)

    def _forget(self, entry: Entry) -> None:
        self._entries.pop(entry.id, None)
        self._sizes.pop(entry.id, None)

    # the budget

    async def _keep(self) -> None:
        while True:
            for directory in self._garbage:
                await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
            self._garbage = []
            try:
                await self._keep_within()
            except (CoveError, OSError) as error:
                log.error("trash: %s", error)
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), WATCHED_EVERY if self._entries else None)

    async def _keep_within(self) -> None:
        for entry in self:
            if entry.id not in self._sizes:
                size = await asyncio.to_thread(self._measure, self._root / entry.id)
                if entry.id in self._entries:
                    self._sizes[entry.id] = size
        disk = os.statvfs(self._root)
        whole = disk.f_blocks * disk.f_frsize
        if disk.f_bavail * disk.f_frsize < min(LOW_WATER, whole * LOW_WATER_PERCENT // 100):
            if await self.relieve():
                log.warning("the disk is almost full: the trash was emptied")
            return
        async with self._lock:
            for entry in self._surplus(whole * self._budget.percent // 100):
                await self._expunge(entry)

    def _surplus(self, share: int) -> list[Entry]:
        """What must go: what is too old, and the oldest beyond the share of the disk or the number of entries."""
        now, kept, total, surplus = time.time_ns(), 0, 0, []
        for entry in self:
            total += self._sizes.get(entry.id, 0)
            kept += 1
            if self.expires(entry) <= now or total > share or kept > MOST_ENTRIES:
                surplus.append(entry)
                total -= self._sizes.get(entry.id, 0)
                kept -= 1
        return surplus[::-1]
