"""What the registry knows: repositories, their blobs, manifests and tags, in SQLite.

Changes go to the one writer (``cove.store.Database``) and are on disk when they return. Reads are single lookups by
index on a connection of their own, so that they never wait for a change's fsync.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from cove.registry.server.failures import MANIFEST_BLOB_UNKNOWN, RegistryError
from cove.registry.server.manifests import Contents
from cove.store import Database


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """``size`` in bytes. ``artifact_type`` and ``annotations``: as a list of referrers shows them."""

    digest: str
    media_type: str
    size: int
    subject: str = ""
    artifact_type: str = ""
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


_decode = msgspec.json.Decoder(Manifest).decode
_MANIFEST = "SELECT m.record FROM manifests m JOIN repositories r ON r.id = m.repository"
_PUT_MANIFEST = (
    "INSERT INTO manifests VALUES (?, ?, ?, ?, ?) ON CONFLICT (repository, digest) DO UPDATE SET "
    "subject = excluded.subject, artifact_type = excluded.artifact_type, record = excluded.record"
)


class Index:
    """Use from one event loop. ``database`` has the schema of ``cove.registry.server.schema``."""

    def __init__(self, database: Database, path: Path) -> None:
        self._database = database
        self._reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)

    def close(self) -> None:
        """The database stays open; it is the caller's."""
        self._reader.close()

    # Reads

    def knows(self, repository: str) -> bool:
        """Whether the repository has anything."""
        return bool(self._column("SELECT 1 FROM repositories WHERE name = ?", repository))

    def blob(self, repository: str, digest: str) -> int | None:
        """The size of a blob that the repository has; None when it has not."""
        query = (
            "SELECT b.size FROM repositories r JOIN links l ON l.repository = r.id "
            "JOIN blobs b ON b.digest = l.digest WHERE r.name = ? AND l.digest = ?"
        )
        size: int | None = self._one(query, repository, digest)
        return size

    def anywhere(self, digest: str) -> int | None:
        """The size of bytes that some repository has; None when none has."""
        size: int | None = self._one("SELECT size FROM blobs WHERE digest = ?", digest)
        return size

    def source(self, digest: str) -> str | None:
        """A repository that has this blob; None when none has."""
        query = "SELECT r.name FROM links l JOIN repositories r ON r.id = l.repository WHERE l.digest = ? LIMIT 1"
        name: str | None = self._one(query, digest)
        return name

    def manifest(self, repository: str, digest: str) -> Manifest | None:
        """None when the repository has no such manifest."""
        found = self._one(f"{_MANIFEST} WHERE r.name = ? AND m.digest = ?", repository, digest)
        return None if found is None else _decode(found)

    def tagged(self, repository: str, tag: str) -> Manifest | None:
        """None when the repository has no such tag."""
        query = (
            f"{_MANIFEST} JOIN tags t ON t.repository = m.repository AND t.digest = m.digest "
            "WHERE r.name = ? AND t.name = ?"
        )
        found = self._one(query, repository, tag)
        return None if found is None else _decode(found)

    def tags(self, repository: str, last: str, limit: int) -> list[str]:
        """At most ``limit`` tags that sort after ``last``, in the order of their bytes."""
        query = (
            "SELECT t.name FROM tags t JOIN repositories r ON r.id = t.repository "
            "WHERE r.name = ? AND t.name > ? ORDER BY t.name LIMIT ?"
        )
        return self._column(query, repository, last, limit)

    def repositories(self, last: str, limit: int) -> list[str]:
        """At most ``limit`` names that sort after ``last``."""
        return self._column("SELECT name FROM repositories WHERE name > ? ORDER BY name LIMIT ?", last, limit)

    def referrers(self, repository: str, subject: str, artifact_type: str, last: str, limit: int) -> list[Manifest]:
        """At most ``limit`` manifests with this subject, by digest, after ``last``; "" is any ``artifact_type``."""
        query = (
            f"{_MANIFEST} WHERE r.name = ? AND m.subject = ? AND m.subject <> '' AND m.digest > ? "
            "AND (? = '' OR m.artifact_type = ?) ORDER BY m.digest LIMIT ?"
        )
        found = self._column(query, repository, subject, last, artifact_type, artifact_type, limit)
        return [_decode(record) for record in found]

    # Changes

    async def link(self, repository: str, digest: str, size: int, upload: str = "") -> None:
        """The repository has this blob, whose bytes are settled; the upload that they came by is over."""

        def change(connection: sqlite3.Connection) -> None:
            _settled(connection, digest, size)
            connection.execute("INSERT OR IGNORE INTO links VALUES (?, ?)", (_number(connection, repository), digest))
            connection.execute("DELETE FROM uploads WHERE id = ?", (upload,))

        await self._database.run(change)

    async def mount(self, repository: str, source: str, digest: str) -> bool:
        """The repository has a blob that ``source`` has; False when that has not."""

        def change(connection: sqlite3.Connection) -> bool:
            found = _has(connection, _known(connection, source), digest)
            if found:
                number = _number(connection, repository)
                connection.execute("INSERT OR IGNORE INTO links VALUES (?, ?)", (number, digest))
            return found

        return await self._database.run(change)

    async def put(self, repository: str, manifest: Manifest, contents: Contents, tag: str = "") -> None:
        """The repository has this manifest, under ``tag`` if one is given.

        Raises RegistryError when it has not what the manifest refers to.
        """

        def change(connection: sqlite3.Connection) -> None:
            number = _number(connection, repository)
            _check_references(connection, number, contents)
            _settled(connection, manifest.digest, manifest.size)
            record = msgspec.json.encode(manifest)
            row = (number, manifest.digest, manifest.subject, manifest.artifact_type, record)
            connection.execute(_PUT_MANIFEST, row)
            if tag:
                connection.execute("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", (number, tag, manifest.digest))

        await self._database.run(change)

    async def untag(self, repository: str, tag: str) -> bool:
        """Whether there was such a tag; the manifest stays."""

        def change(connection: sqlite3.Connection) -> bool:
            number = _known(connection, repository)
            query = "DELETE FROM tags WHERE repository = ? AND name = ?"
            return connection.execute(query, (number, tag)).rowcount > 0

        return await self._database.run(change)

    async def remove_manifest(self, repository: str, digest: str) -> tuple[bool, bool]:
        """Forget a manifest and its tags: whether there was one, and whether its bytes are nobody's now."""

        def change(connection: sqlite3.Connection) -> tuple[bool, bool]:
            number = _known(connection, repository)
            connection.execute("DELETE FROM tags WHERE repository = ? AND digest = ?", (number, digest))
            query = "DELETE FROM manifests WHERE repository = ? AND digest = ?"
            return _forgotten(connection, number, digest, connection.execute(query, (number, digest)).rowcount > 0)

        return await self._database.run(change)

    async def unlink(self, repository: str, digest: str) -> tuple[bool, bool]:
        """Take a blob from a repository: whether it had it, and whether its bytes are nobody's now."""

        def change(connection: sqlite3.Connection) -> tuple[bool, bool]:
            number = _known(connection, repository)
            query = "DELETE FROM links WHERE repository = ? AND digest = ?"
            return _forgotten(connection, number, digest, connection.execute(query, (number, digest)).rowcount > 0)

        return await self._database.run(change)

    def _one(self, query: str, *values: Any) -> Any:
        row = self._reader.execute(query, values).fetchone()
        return None if row is None else row[0]

    def _column(self, query: str, *values: Any) -> list[Any]:
        return [row[0] for row in self._reader.execute(query, values)]


def _number(connection: sqlite3.Connection, repository: str) -> int:
    """The repository's number; it is made when it is new."""
    connection.execute("INSERT OR IGNORE INTO repositories (name) VALUES (?)", (repository,))
    return _known(connection, repository)


def _known(connection: sqlite3.Connection, repository: str) -> int:
    """The repository's number, or 0, which none has."""
    row = connection.execute("SELECT id FROM repositories WHERE name = ?", (repository,)).fetchone()
    return int(row[0]) if row else 0


def _settled(connection: sqlite3.Connection, digest: str, size: int) -> None:
    connection.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (digest, size))


def _exists(connection: sqlite3.Connection, query: str, *values: Any) -> bool:
    return connection.execute(query, values).fetchone() is not None


def _has(connection: sqlite3.Connection, number: int, digest: str) -> bool:
    return _exists(connection, "SELECT 1 FROM links WHERE repository = ? AND digest = ?", number, digest)


def _check_references(connection: sqlite3.Connection, number: int, contents: Contents) -> None:
    query = "SELECT 1 FROM manifests WHERE repository = ? AND digest = ?"
    missing = [
        *_missing(contents.blobs, lambda digest: _has(connection, number, digest)),
        *_missing(contents.manifests, lambda digest: _exists(connection, query, number, digest)),
    ]
    if missing:
        raise RegistryError(MANIFEST_BLOB_UNKNOWN, {"digest": missing[0], "missing": missing[:100]})


def _missing(digests: Iterable[str], present: Any) -> list[str]:
    return [digest for digest in dict.fromkeys(digests) if not present(digest)]


def _forgotten(connection: sqlite3.Connection, number: int, digest: str, found: bool) -> tuple[bool, bool]:
    """Drop the row of bytes that no repository has, and a repository that has nothing."""
    if not found:
        return False, False
    unused = (
        "DELETE FROM blobs WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM links WHERE digest = ?1) "
        "AND NOT EXISTS (SELECT 1 FROM manifests WHERE digest = ?1)"
    )
    orphaned = connection.execute(unused, (digest,)).rowcount > 0
    connection.execute(
        "DELETE FROM repositories WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM links WHERE repository = ?1) "
        "AND NOT EXISTS (SELECT 1 FROM manifests WHERE repository = ?1)",
        (number,),
    )
    return True, orphaned
