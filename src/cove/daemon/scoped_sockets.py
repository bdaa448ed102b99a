"""Further sockets of the API, each held to a scope: their rows, their files below the exec root, their listeners."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from cove.daemon.listeners import unix_listener
from cove.errors import Conflict, InvalidArgument, NotFound
from cove.server.app import Server
from cove.server.guard import Guard, Members
from cove.server.scope import checked_name, scope
from cove.store import Database, Table
from cove.units import format_time, now
from cove.wire.sockets import ApiSocket, SocketCreate


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """``created``: nanoseconds since the epoch."""

    name: str
    created: int
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    group: str = ""


TABLE: Table[Record] = Table("sockets", Record, ("name",), {"name": lambda record: record.name})


class ScopedSockets:
    """``open`` once the server is there; until then there are none."""

    def __init__(self, database: Database, directory: Path, members: Members) -> None:
        """``directory``: where the sockets are."""
        self._database = database
        self._directory = directory
        self._members = members
        self._records = {record.name: record for record in database.load(TABLE.select)}
        self._listeners: dict[str, asyncio.Server] = {}
        self._server: Server | None = None

    async def open(self, server: Server) -> None:
        """Listen on every socket there is a row of."""
        self._server = server
        self._directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        for record in self._records.values():
            await self._listen(record)

    def close(self) -> None:
        """Remove the files; the listeners go with the server."""
        for name in self._listeners:
            self._path(name).unlink(missing_ok=True)

    async def create(self, wish: SocketCreate) -> ApiSocket:
        name = checked_name(wish.name)
        checked = scope(wish.allow or [], wish.deny or [], wish.labels or {})
        if not (checked.allow or checked.deny or checked.labels):
            raise InvalidArgument("a scoped socket needs at least one of allow, deny and labels")
        if name in self._records:
            raise Conflict(f"there is a socket {name} already")
        record = Record(
            name, now(), tuple(checked.allow), tuple(sorted(checked.deny)), dict(checked.labels), wish.group
        )
        self._records[name] = record
        try:
            await self._listen(record)
            await self._database.run(lambda connection: TABLE.insert(connection, record))
        except BaseException:
            self._drop(name)
            raise
        return self._shown(record)

    async def list(self) -> Sequence[ApiSocket]:
        return [self._shown(self._records[name]) for name in sorted(self._records)]

    async def inspect(self, name: str) -> ApiSocket:
        return self._shown(self._get(name))

    async def remove(self, name: str) -> None:
        """Connections that are open stay until their clients leave; new ones are refused."""
        self._get(name)

        def delete(connection: sqlite3.Connection) -> None:
            TABLE.delete(connection, name=name)

        await self._database.run(delete)
        self._drop(name)

    async def _listen(self, record: Record) -> None:
        assert self._server is not None
        guard = Guard(record.name, scope(record.allow, record.deny, record.labels), self._members)
        listener = unix_listener(str(self._path(record.name)), record.group or "0")
        self._listeners[record.name] = await self._server.listen(listener, guard=guard)

    def _drop(self, name: str) -> None:
        self._records.pop(name, None)
        listener = self._listeners.pop(name, None)
        if listener is not None:
            listener.close()
            self._path(name).unlink(missing_ok=True)

    def _get(self, name: str) -> Record:
        if name not in self._records:
            raise NotFound(f"No such socket: {name}")
        return self._records[name]

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.sock"

    def _shown(self, record: Record) -> ApiSocket:
        return ApiSocket(
            name=record.name,
            allow=list(record.allow),
            deny=list(record.deny),
            labels=record.labels,
            group=record.group,
            path=str(self._path(record.name)),
            created=format_time(record.created),
        )
