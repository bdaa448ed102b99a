"""The volumes of one data root: ``volumes/<name>/_data`` and their rows."""

import contextlib
import re
import secrets
import shutil
import sqlite3
import time
from asyncio import Lock, to_thread
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from cove.errors import Conflict, Internal, InvalidArgument, NotFound
from cove.store import Database, Table

LONGEST_NAME = 255
"""A volume's name is that of its directory (NAME_MAX)."""

_NAME = re.compile("[a-zA-Z0-9][a-zA-Z0-9_.-]+")


class Volume(msgspec.Struct, frozen=True, omit_defaults=True):
    """``created``: nanoseconds since the epoch. ``anonymous``: made for one container, under a made-up name."""

    name: str
    driver: str
    created: int
    options: dict[str, str] = msgspec.field(default_factory=dict)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    anonymous: bool = False


VOLUMES: Table[Volume] = Table("volumes", Volume, ("name",), {"name": lambda volume: volume.name})


Change = Callable[[sqlite3.Connection], None]


class Volumes:
    """Look-ups are answered from memory; what changes something is done when it is on disk."""

    def __init__(self, database: Database, data_root: Path) -> None:
        self._database = database
        self._root = data_root / "volumes"
        self._volumes: dict[str, Volume] = {}
        self._lock = Lock()  # held while what is in memory, in the database and in the directory may differ

    def open(self) -> None:
        """Read the rows; remove the directories that have none, of a create or remove that was cut short.

        A row whose directory is gone (a machine that lost power) gets an empty one.
        """
        self._root.mkdir(mode=0o701, exist_ok=True)
        self._volumes = {volume.name: volume for volume in self._database.load(VOLUMES.select)}
        for directory in self._root.iterdir():
            if directory.name not in self._volumes:
                shutil.rmtree(directory)
        for name in self._volumes:
            self._make_directory(name)

    def list(self) -> list[Volume]:
        return sorted(self._volumes.values(), key=lambda volume: volume.name)

    def get(self, name: str) -> Volume:
        """Raises NotFound in Docker's words."""
        try:
            return self._volumes[name]
        except KeyError:
            raise NotFound(f"get {name}: no such volume") from None

    def has(self, name: str) -> bool:
        return name in self._volumes

    def path(self, name: str) -> Path:
        """The directory that containers mount."""
        return self._root / name / "_data"

    async def create(
        self,
        name: str = "",
        *,
        driver: str = "local",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Volume:
        """Make a volume, or return the one of that name. An empty name makes an anonymous one.

        Raises InvalidArgument for a bad name, NotFound for a driver, Conflict when the name has another driver.
        """
        anonymous = not name
        wanted = Volume(
            name or secrets.token_hex(32), driver, time.time_ns(), dict(options or {}), dict(labels or {}), anonymous
        )
        async with self._lock:
            existing = self._volumes.get(wanted.name)
            if existing is None:
                return await self._add(_checked(wanted))
        if driver not in ("", existing.driver):
            raise Conflict(f'volume "{name}" already exists with driver "{existing.driver}"')
        return existing

    async def _add(self, volume: Volume) -> Volume:
        self._volumes[volume.name] = volume  # now, as a caller who goes away does not stop the insertion
        try:
            self._make_directory(volume.name)
            await self._database.run(VOLUMES.inserting(volume))
        except Exception as error:
            self._volumes.pop(volume.name, None)
            shutil.rmtree(self._root / volume.name, ignore_errors=True)
            if isinstance(error, OSError):
                raise Internal(f"create {volume.name}: {error.strerror or error}") from error
            raise
        return volume

    def _make_directory(self, name: str) -> None:
        self.path(name).parent.mkdir(mode=0o701, exist_ok=True)
        self.path(name).mkdir(mode=0o755, exist_ok=True)

    @contextlib.asynccontextmanager
    async def withdrawing(self, names: Sequence[str]) -> AsyncIterator[tuple[Sequence[Volume], Change]]:
        """Give volumes away: what they were, and the change that takes them out of the database.

        Inside the context the caller has the change made, and moves the directories (``directory``).
        """
        async with self._lock:
            volumes = [self._volumes[name] for name in names if name in self._volumes]

            def change(connection: sqlite3.Connection) -> None:
                for volume in volumes:
                    VOLUMES.delete(connection, name=volume.name)

            yield volumes, change
            for volume in volumes:
                self._volumes.pop(volume.name, None)

    @contextlib.asynccontextmanager
    async def returning(self, volumes: Sequence[Volume]) -> AsyncIterator[Change]:
        """Take volumes back, whose directories are here again: the change that puts them into the database."""
        async with self._lock:

            def change(connection: sqlite3.Connection) -> None:
                for volume in volumes:
                    VOLUMES.put(connection, volume)

            yield change
            for volume in volumes:
                self._volumes[volume.name] = volume
                self._make_directory(volume.name)

    def directory(self, name: str) -> str:
        """Where a volume lies, relative to the data root."""
        return f"volumes/{name}"

    async def remove(self, name: str) -> None:
        """Remove a volume and its data. The caller has made sure that nothing uses it. Raises NotFound."""
        async with self._lock:
            self.get(name)
            await self._database.run(lambda connection: VOLUMES.delete(connection, name=name))
            self._volumes.pop(name, None)
            rubbish = self._root / f".{secrets.token_hex(8)}"  # out of the way of the next volume of this name
            with contextlib.suppress(FileNotFoundError):
                (self._root / name).rename(rubbish)
        await to_thread(shutil.rmtree, rubbish, ignore_errors=True)


def _checked(volume: Volume) -> Volume:
    volume = msgspec.structs.replace(volume, driver=volume.driver or "local")
    if len(volume.name) == 1:
        raise InvalidArgument(
            f"create {volume.name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if len(volume.name) > LONGEST_NAME:
        raise InvalidArgument(f"create {volume.name}: volume name is longer than {LONGEST_NAME} characters")
    if not _NAME.fullmatch(volume.name):
        raise InvalidArgument(
            f'create {volume.name}: "{volume.name}" includes invalid characters for a local volume name, '
            'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    if volume.driver != "local":
        raise NotFound(
            f'create {volume.name}: error looking up volume plugin {volume.driver}: plugin "{volume.driver}" not found'
        )
    for option in volume.options:
        if option not in ("type", "o", "device", "size"):
            raise InvalidArgument(f'create {volume.name}: invalid option: "{option}"')
    if volume.options:
        raise InvalidArgument(
            f"create {volume.name}: options of the local driver are not supported yet: {sorted(volume.options)}"
        )
    return volume
