"""The volumes of one data root: their rows, and the drivers that have them."""

import asyncio
import contextlib
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

import msgspec

from cove.errors import Conflict, CoveError, NotFound
from cove.plugin import Places
from cove.store import Database
from cove.volumes.driver import Details, Driver, Source
from cove.volumes.drivers import Drivers
from cove.volumes.local import Local, has_file_system
from cove.volumes.record import LOCAL, VOLUMES, Volume, check_name
from cove.volumes.snapshots import Snapshots
from cove.volumes.spaces import Space, Spaces
from cove.volumes.visits import Visits

Change = Callable[[sqlite3.Connection], None]


class Seen(NamedTuple):
    """A volume as clients are shown it."""

    volume: Volume
    details: Details
    scope: str


class Volumes:
    """Look-ups are answered from memory; what changes something is done when it is on disk."""

    def __init__(self, database: Database, data_root: Path, plugins: Path = Path("/run/cove/plugins")) -> None:
        """``plugins``: the directory of plug-ins that are this daemon's alone."""
        self._database = database
        self._root = data_root / "volumes"
        self.spaces = Spaces()
        self._local = Local(self._root, self.spaces)
        self._drivers = Drivers(self._local, Places(plugins))
        self.snapshots = Snapshots(self._root)
        self.visits = Visits(self._root)
        self._volumes: dict[str, Volume] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def open(self) -> None:
        """Read the rows; remove the directories that have none, of a create or remove that was cut short.

        A row whose directory is gone (a machine that lost power) gets an empty one.
        """
        self._root.mkdir(mode=0o701, exist_ok=True)
        self._volumes = {volume.name: volume for volume in self._database.load(VOLUMES.select)}
        for volume in self._volumes.values():
            if volume.renamed_from and volume.renamed_from not in self._volumes:
                self._move(volume.renamed_from, volume.name)
        for directory in self._root.iterdir():
            if directory.name not in self._volumes:
                shutil.rmtree(directory)
        for volume in self._volumes.values():
            if volume.driver == LOCAL:
                self._local.repair(volume.name)
            for directory in self.snapshots.unfinished(volume.name):
                shutil.rmtree(directory, ignore_errors=True)

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
        """The directory of a local volume. What has a file system of its own is not mounted there on the host."""
        return self._local.data(name)

    def space(self, name: str) -> Space | None:
        """What bounds a local volume with a size; None for others."""
        return self.spaces.look(self.path(name)) if self.get(name).options.get("size") else None

    async def note_size(self, name: str, size: int) -> None:
        """It has another size, in bytes. While it is ``locked``."""
        volume = self.get(name)
        resized = msgspec.structs.replace(volume, options={**volume.options, "size": str(size)})
        await self._database.run(VOLUMES.putting(resized))
        self._volumes[name] = resized

    @property
    def drivers(self) -> Sequence[str]:
        """The names of those that have been used."""
        return self._drivers.names()

    def is_ours(self, volume: Volume) -> bool:
        """Whether its files lie below the data root, in a directory or a disk, and are this engine's alone."""
        return volume.driver == LOCAL and not has_file_system(volume)

    async def find(self, name: str) -> Seen:
        """A volume as an inspection shows it, those that only a plug-in knows as well. Raises NotFound, Internal."""
        volume = self._volumes.get(name) or await self._elsewhere(name)
        if volume is None:
            raise NotFound(f"get {name}: no such volume")
        driver = await self._driver("get", name, volume.driver)
        return Seen(volume, await driver.details(volume), driver.scope)

    async def survey(self) -> tuple[Sequence[Seen], Sequence[str]]:
        """All volumes, those of plug-ins as well, in the order of their names; and what could not be asked."""
        seen = [
            Seen(volume, await self._local.details(volume), self._local.scope)
            for volume in self._volumes.values()
            if volume.driver == LOCAL
        ]
        plugins = {driver.name: driver for driver in await self._drivers.plugins()}
        warnings = []
        for name in sorted({volume.driver for volume in self._volumes.values()} - {LOCAL} | set(plugins)):
            places: dict[str, str] = {}
            try:
                places = await plugins[name].known() if name in plugins else {}
            except CoveError as error:
                warnings.append(f"error while listing volumes of {name}: {error.message}")
            scope = plugins[name].scope if name in plugins else "local"
            ours = {volume.name: volume for volume in self._volumes.values() if volume.driver == name}
            others = {place: Volume(place, name, 0) for place in places if place not in self._volumes}
            seen += [Seen(one, Details(places.get(one.name, "")), scope) for one in (ours | others).values()]
        return sorted(seen, key=lambda one: one.volume.name), warnings

    async def _elsewhere(self, name: str) -> Volume | None:
        """A volume that a plug-in has, and that was not made through us."""
        for driver in await self._drivers.plugins():
            if await driver.has(name):
                return Volume(name, driver.name, 0)
        return None

    async def adopt(self, name: str, user: str) -> None:
        """An earlier daemon mounted it for ``user``."""
        volume = self._volumes.get(name)
        if volume is not None and volume.driver != LOCAL:
            with contextlib.suppress(CoveError):
                (await self._driver("get", name, volume.driver)).adopt(volume, user)

    async def mount(self, name: str, user: str) -> Source:
        """Where its files are, for ``user``, until ``unmount``. Raises NotFound, Internal in Docker's words."""
        volume = self.get(name)
        return await (await self._driver("mount", name, volume.driver)).mount(volume, user)

    async def unmount(self, name: str, user: str) -> None:
        """``user`` needs it no longer; a volume that is gone is needed by nobody."""
        volume = self._volumes.get(name)
        if volume is not None:
            with contextlib.suppress(CoveError):
                await (await self._driver("unmount", name, volume.driver)).unmount(volume, user)

    async def create(
        self,
        name: str = "",
        *,
        driver: str = "",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Volume:
        """Make a volume, or return the one of that name. An empty name makes an anonymous one.

        Raises InvalidArgument for a bad name or option, NotFound for a driver, Conflict when the name has another.
        """
        anonymous = not name
        name = name or secrets.token_hex(32)
        async with self.locked(name):
            existing = self._volumes.get(name)
            if driver:
                await self._driver("create", name, driver)  # one that is not there is told of first
            if existing is None:
                check_name(name)
                found = None if driver or anonymous else await self._elsewhere(name)
                driver = driver or (found.driver if found is not None else LOCAL)
                given = dict(options or {}), dict(labels or {})
                return await self._add(Volume(name, driver, time.time_ns(), *given, anonymous))
        if driver not in ("", existing.driver):
            raise Conflict(f'volume "{name}" already exists with driver "{existing.driver}"')
        return existing

    async def _add(self, volume: Volume) -> Volume:
        driver = await self._driver("create", volume.name, volume.driver)
        await driver.create(volume)
        self._volumes[volume.name] = volume  # now, as a caller who goes away does not stop the insertion
        try:
            await self._database.run(VOLUMES.inserting(volume))
        except Exception:
            self._volumes.pop(volume.name, None)
            await driver.remove(volume)
            raise
        return volume

    def beginning(self, name: str) -> Path:
        """A new directory in which ``_data`` of a volume is to be made that ``admit`` then adds.

        Raises InvalidArgument, Conflict for its name.
        """
        check_name(name)
        self._refuse_taken(name)
        made = self._root / f".{secrets.token_hex(8)}"
        made.mkdir(mode=0o701)
        return made

    async def admit(self, volume: Volume, directory: Path) -> None:
        """Add a local volume whose directory is whole, and is moved to its place. Raises Conflict for its name."""
        async with self.locked(volume.name):
            self._refuse_taken(volume.name)
            place = self._root / volume.name
            directory.rename(place)
            self._volumes[volume.name] = volume
            try:
                await self._database.run(VOLUMES.inserting(volume))
            except Exception:
                self._volumes.pop(volume.name, None)
                place.rename(directory)
                raise

    async def bring_back(self, volume: Volume, directory: Path, *also: Change) -> None:
        """Add a local volume whose directory is elsewhere in the data root: the row first, which says where.

        Raises InvalidArgument, Conflict for its name.
        """
        check_name(volume.name)
        async with self.locked(volume.name):
            self._refuse_taken(volume.name)
            source = os.path.relpath(directory, self._root)
            volume = msgspec.structs.replace(volume, renamed_from=source)

            def change(connection: sqlite3.Connection) -> None:
                VOLUMES.put(connection, volume)
                for other in also:
                    other(connection)

            await self._database.run(change)
            self._move(source, volume.name)
            self._local.make_directory(volume.name)
            self._volumes[volume.name] = volume

    async def rename(self, name: str, new: str, *also: Change) -> Volume:
        """Give a local volume another name. ``also``: what goes with that in the same transaction.

        The row is written first, and says where the directory is until that is moved. Raises NotFound, Conflict,
        InvalidArgument.
        """
        check_name(new)
        async with self.locked(name, new):
            self._refuse_taken(new)
            volume = msgspec.structs.replace(self.get(name), name=new, anonymous=False, renamed_from=name)

            def change(connection: sqlite3.Connection) -> None:
                VOLUMES.delete(connection, name=name)
                VOLUMES.put(connection, volume)
                for other in also:
                    other(connection)

            await self._database.run(change)
            self._move(name, new)
            del self._volumes[name]
            self._volumes[new] = volume
            return volume

    def _move(self, name: str, new: str) -> None:
        """Move a directory to its new name, unless that was done."""
        if not (self._root / new).exists():
            with contextlib.suppress(FileNotFoundError):
                (self._root / name).rename(self._root / new)

    def _refuse_taken(self, name: str) -> None:
        if name in self._volumes:
            raise Conflict(f'volume "{name}" already exists')

    async def _driver(self, what: str, name: str, driver: str) -> Driver:
        """The driver called ``driver``, to do ``what`` with the volume ``name``. Raises NotFound in Docker's words."""
        try:
            return await self._drivers.get(driver)
        except NotFound as error:
            raise NotFound(f"{what} {name}: {error.message}") from error

    @contextlib.asynccontextmanager
    async def locked(self, *names: str) -> AsyncIterator[None]:
        """While what is in memory, in the database and on disk of these volumes may differ."""
        async with contextlib.AsyncExitStack() as stack:
            for name in sorted(set(names)):
                lock = self._locks.get(name) or asyncio.Lock()
                self._locks[name] = lock
                await stack.enter_async_context(lock)
            yield

    @contextlib.asynccontextmanager
    async def withdrawing(self, names: Sequence[str]) -> AsyncIterator[tuple[Sequence[Volume], Change]]:
        """Give volumes away: what they were, and the change that takes them out of the database.

        Inside the context the caller has the change made, and moves the directories (``directory``).
        """
        async with self.locked(*names):
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
        async with self.locked(*(volume.name for volume in volumes)):

            def change(connection: sqlite3.Connection) -> None:
                for volume in volumes:
                    VOLUMES.put(connection, volume)

            yield change
            for volume in volumes:
                self._volumes[volume.name] = volume
                if volume.driver == LOCAL:
                    self._local.make_directory(volume.name)

    def directory(self, name: str) -> str:
        """Where a local volume lies, relative to the data root."""
        return f"volumes/{name}"

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a volume and its data. The caller has made sure that nothing uses it. Raises NotFound, Internal.

        ``force``: forget one whose plug-in refuses or is gone.
        """
        async with self.locked(name):
            volume = self._volumes.get(name) or await self._elsewhere(name)
            if volume is None:
                raise NotFound(f"get {name}: no such volume")
            if volume.driver != LOCAL:
                await self._remove_elsewhere(volume, force)
            await self._database.run(lambda connection: VOLUMES.delete(connection, name=name))
            self._volumes.pop(name, None)
            await self._local.remove(volume)  # without a row it is garbage; a plug-in's may have snapshots here

    async def _remove_elsewhere(self, volume: Volume, force: bool) -> None:
        try:
            await (await self._driver("remove", volume.name, volume.driver)).remove(volume)
        except CoveError:
            if not force:
                raise
