"""The volumes of one data root: ``volumes/<name>/_data`` and their rows."""

import re
import secrets
import shutil
import sqlite3
import time
from asyncio import to_thread
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cove.errors import Conflict, InvalidArgument, NotFound
from cove.store import Database, Table

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


class Volumes:
    """Look-ups are answered from memory; what changes something is done when it is on disk."""

    def __init__(self, database: Database, data_root: Path) -> None:
        self._database = database
        self._root = data_root / "volumes"
        self._volumes: dict[str, Volume] = {}

    def open(self) -> None:
        """Read the rows, and remove the directories that have none (of a create or remove that was cut short)."""
        self._root.mkdir(mode=0o701, exist_ok=True)
        self._volumes = {volume.name: volume for volume in self._database.load(VOLUMES.select)}
        for directory in self._root.iterdir():
            if directory.name not in self._volumes:
                shutil.rmtree(directory)

    def list(self) -> list[Volume]:
        return sorted(self._volumes.values(), key=lambda volume: volume.name)

    def get(self, name: str) -> Volume:
        """Raises NotFound in Docker's words."""
        try:
            return self._volumes[name]
        except KeyError:
            raise NotFound(f"get {name}: no such volume") from None

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

        Raises InvalidArgument for a bad name or driver, Conflict when the name has another driver.
        """
        anonymous = not name
        name = name or secrets.token_hex(32)
        existing = self._volumes.get(name)
        if existing is not None:
            if driver not in ("", existing.driver):
                raise Conflict(f'volume "{name}" already exists with driver "{existing.driver}"')
            return existing
        volume = _checked(
            Volume(name, driver or "local", time.time_ns(), dict(options or {}), dict(labels or {}), anonymous)
        )
        path = self.path(name)
        path.parent.mkdir(mode=0o701, exist_ok=True)
        path.mkdir(mode=0o755, exist_ok=True)
        self._volumes[name] = volume
        try:
            await self._database.run(lambda connection: VOLUMES.put(connection, volume))
        except (sqlite3.Error, OSError):
            self._volumes.pop(name, None)
            raise
        return volume

    async def remove(self, name: str) -> None:
        """Remove a volume and its data. The caller has made sure that nothing uses it. Raises NotFound."""
        self.get(name)
        await self._database.run(lambda connection: VOLUMES.delete(connection, name=name))
        self._volumes.pop(name, None)
        await to_thread(shutil.rmtree, self._root / name, ignore_errors=True)


def _checked(volume: Volume) -> Volume:
    if not _NAME.fullmatch(volume.name):
        raise InvalidArgument(
            f'create {volume.name}: "{volume.name}" includes invalid characters for a local volume name, '
            'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    if volume.driver != "local":
        raise InvalidArgument(
            f'create {volume.name}: error looking up volume plugin {volume.driver}: plugin "{volume.driver}" not found'
        )
    if volume.options:
        raise InvalidArgument(
            f"create {volume.name}: options of the local driver are not supported yet: {sorted(volume.options)}"
        )
    return volume
