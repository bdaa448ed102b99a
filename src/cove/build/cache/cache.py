"""The build cache: which step, over which inputs, made which layer. Records in SQLite, answered from memory.

A record's key is the digest of its parts: everything that a result depends on, by content. So it holds for all builds
of this data root, after restarts too. The layers that records stand on are kept from the garbage collector (``kept``).

A record is written after its layer, and removed before it: whatever moment the daemon is killed at, no record misses
its layer.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from cove.build.planning.graph import LayerRef, Root
from cove.digest import chain_ids
from cove.store import Database, Table

NOWHERE = "nowhere"
MOST_SELECTED = 10_000
"""Copies that are remembered by their inputs as a whole."""


class Parts(msgspec.Struct, frozen=True):
    """``parts``: by name, what a result depends on. ``listing``: digest of the list of files behind ``files``.

    ``base``: the image that it is built on, ``name@digest``, where it is the first step on one; for people.
    """

    parts: Mapping[str, str]
    listing: str = ""
    base: str = ""

    @property
    def key(self) -> str:
        """Names the result."""
        canonical = msgspec.json.encode(self.parts, order="sorted")
        return hashlib.sha256(canonical).hexdigest()


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """``kind``: regular (a step with files), internal (one that only sets the configuration) or exec.cachemount.

    ``layers``: the result, lowest first; ``own``: whether the last is the step's own. ``created``, ``used``:
    nanoseconds since the epoch. ``directory``: of a cache mount, below ``build/mounts``. ``base``: as of ``Parts``.
    """

    key: str
    kind: str
    description: str
    created: int
    used: int
    uses: int = 0
    parts: dict[str, str] = msgspec.field(default_factory=dict)
    listing: str = ""
    layers: list[LayerRef] = msgspec.field(default_factory=list)
    own: bool = False
    directory: str = ""
    base: str = ""

    @property
    def layer(self) -> LayerRef | None:
        """The step's own, if it has one."""
        return self.layers[-1] if self.own else None

    @property
    def root(self) -> Root:
        return Root(tuple(self.layers))

    @property
    def names(self) -> Iterator[str]:
        """The chain ids and digests of what it stands on."""
        yield from chain_ids([layer.diff_id for layer in self.layers])
        yield from (layer.blob.digest for layer in self.layers)


TABLE: Table[Record] = Table(
    "build_cache", Record, ("key",), {"key": lambda record: record.key, "used": lambda record: record.used}
)


class Cache:
    """Use from one event loop. ``directory``: ``build`` below the data root."""

    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self.directory = directory
        self.records: dict[str, Record] = {}
        self.in_use: set[str] = set()
        self._selected: dict[str, Parts] = {}

    def open(self) -> None:
        """Read the rows. Before any ``Database.run``."""
        self.listings.mkdir(parents=True, exist_ok=True)
        self.mounts.mkdir(exist_ok=True)
        self.records = {record.key: record for record in self._database.load(TABLE.select)}

    @property
    def listings(self) -> Path:
        """Where the names and digests of copied files are, a file for each list."""
        return self.directory / "listings"

    @property
    def mounts(self) -> Path:
        """Where cache mounts are."""
        return self.directory / "mounts"

    def kept(self) -> Iterable[str]:
        """Chain ids and digests that records stand on."""
        return {name for record in self.records.values() for name in record.names}

    def selected(self, digest: str) -> Parts | None:
        """What a copy over the same inputs, as a whole, amounted to before: then no file has to be looked at."""
        record = self.records.get(digest)
        return self._selected.get(digest) or (Parts(record.parts, record.listing) if record is not None else None)

    def note_selected(self, digest: str, parts: Parts, *, lasting: bool = False) -> None:
        """Remember that, while the daemon runs; ``lasting``: also afterwards, by a record."""
        if lasting:
            now, same = time.time_ns(), dict(parts.parts)
            self.note(Record(digest, "internal", "files of an ADD", now, now, parts=same, listing=parts.listing))
        if len(self._selected) >= MOST_SELECTED:
            del self._selected[next(iter(self._selected))]
        self._selected[digest] = parts

    def find(self, key: str) -> Record | None:
        """The record of a key, which counts as used now."""
        record = self.records.get(key)
        if record is not None:
            used = msgspec.structs.replace(record, used=time.time_ns(), uses=record.uses + 1)
            self.records[key] = used
            self._database.note(TABLE.putting(used))
        return record

    async def add(self, record: Record) -> None:
        """Keep a record; its layers are here."""
        await self._database.run(TABLE.putting(record))
        self.records[record.key] = record

    def note(self, record: Record) -> None:
        """Keep a record that nobody misses if it is lost."""
        self.records[record.key] = record
        self._database.note(TABLE.putting(record))

    async def remove(self, keys: Iterable[str]) -> None:
        """Forget records; the layers are the garbage collector's from then on."""
        gone = [key for key in keys if self.records.pop(key, None) is not None]

        def change(connection: sqlite3.Connection) -> None:
            for key in gone:
                TABLE.delete(connection, key=key)

        if gone:
            await self._database.run(change)

    def nearest(self, parts: Mapping[str, str], name: str) -> Record | None:
        """The record of the same step that has most parts in common, the newest of several.

        ``name``: of the step, as in ``description``. The same step is the same instruction or, where none is, one that
        had the same number in a stage of the same name or, for steps without files, the same keyword in the same place.
        """
        wanted, before = _place(name), _before(parts) or NOWHERE
        best: tuple[bool, int, int] = (False, 0, 0)
        found = None
        for record in self.records.values():
            place = _place(record.description)
            if record.parts.get("kind") != parts.get("kind") or not record.parts:
                continue
            beside = _before(record.parts) == before and _keyword(place[1]) == _keyword(wanted[1])
            if place[1] != wanted[1] and place[0] != wanted[0] and not beside:
                continue
            alike = sum(record.parts.get(name) == value for name, value in parts.items())
            rank = (place[1] == wanted[1], alike, record.used)
            if rank > best:
                best, found = rank, record
        return found


def _place(name: str) -> tuple[str, str]:
    """Of ``[build 2/5] RUN make`` which step it is, ``build 2``, and what it says; without a number, what it says."""
    place, bracket, instruction = name.removeprefix("[").partition("] ")
    if not bracket or not name.startswith("["):
        return name, name
    number, slash, _ = place.partition("/")
    return (number if slash else name), instruction


def _before(parts: Mapping[str, str]) -> str:
    """What a step without files comes after; nothing for others."""
    return parts.get("parent", "") if parts.get("kind") == "configuration" else ""


def _keyword(instruction: str) -> str:
    return instruction.partition(" ")[0].upper()
