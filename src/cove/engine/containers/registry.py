"""All containers of the daemon by id and name, and the look-up of what a user types."""

import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import msgspec

from cove.engine.containers.container import Container
from cove.engine.containers.record import CONTAINERS, IMAGE_MOUNTS, ImageMount, Record
from cove.errors import Conflict, CoveError, Internal, InvalidArgument, NotFound
from cove.store import Database

Change = Callable[[sqlite3.Connection], None]


class Registry:
    """The containers, in memory as in the database. What changes a row is done when it is on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_id: dict[str, Container] = {}
        self._by_name: dict[str, Container] = {}
        self._linked: dict[str, set[str]] = {}
        self.on_remove: list[Callable[[str], None]] = []
        self.on_record: list[Callable[[Container], None]] = []  # called with whose record is new, or is to be written

    def __iter__(self) -> Iterator[Container]:
        return iter(list(self._by_id.values()))

    def __contains__(self, container_id: object) -> bool:
        return container_id in self._by_id

    def restore(self, container: Container) -> None:
        """Add a container whose row exists already."""
        self._by_id[container.id] = container
        for target in container.record.links.values():
            self._linked.setdefault(target, set()).add(container.id)
        self._by_name[container.name] = container
        self.note(container)

    def get(self, reference: str) -> Container:
        """By id, name (with or without the slash) or unique prefix of an id. Raises NotFound in Docker's words."""
        name = reference.removeprefix("/")
        found = self._by_id.get(name) or self._by_name.get(name)
        if found is not None:
            return found
        matches = [container for key, container in self._by_id.items() if name and key.startswith(name)]
        if len(matches) > 1:
            raise InvalidArgument(f"Multiple IDs found with provided prefix: {reference}")
        if not matches:
            raise NotFound(f"No such container: {reference}")
        return matches[0]

    @asynccontextmanager
    async def locked(self, container: Container) -> AsyncIterator[None]:
        """Hold the container's lock. Raises NotFound when it was removed while others held it."""
        async with container.lock:
            if container.id not in self._by_id:
                raise NotFound(f"No such container: {container.id}")
            yield

    @contextmanager
    def needed(self, container: Container) -> Iterator[None]:
        """For work that the lock is not held for. Raises NotFound when it fails and the container has been removed."""
        try:
            yield
        except (CoveError, OSError) as error:
            if container.id in self._by_id:
                raise
            raise NotFound(f"No such container: {container.id}") from error

    def name_taken(self, name: str) -> bool:
        return name in self._by_name

    def volume_users(self, volume: str) -> list[Container]:
        """The containers that mount a volume."""
        return [
            container
            for container in self
            if any(mount.kind == "volume" and mount.name == volume for mount in container.record.mounts)
        ]

    def image_users(self, image: str) -> list[Container]:
        """The containers that are made from an image, or mount it."""
        return [
            container
            for container in self
            if container.record.image == image or image in container.record.mounted_images
        ]

    def linked_to(self, container_id: str) -> list[str]:
        """The ids of the containers that have a link to one."""
        return sorted(self._linked.get(container_id, ()))

    def unlink(self, container: Container, target: str) -> None:
        """A link of ``container`` to ``target`` is no more in its record; another one may be."""
        if target not in container.record.links.values():
            users = self._linked.get(target, set())
            users.discard(container.id)
            if not users:
                self._linked.pop(target, None)

    async def add(self, container: Container, *also: Change) -> None:
        """Write a new container's row. Raises Conflict, in Docker's words, when its name is taken.

        ``also``: what goes with that in the same transaction.
        """
        self._refuse_taken(container.name)
        self.restore(container)  # at once, so that a second create with this name is refused while the row is written
        try:
            await self._insert(container.record, also)
        except Exception:  # not when the caller was cancelled: the row is written all the same
            self._forget(container)
            raise

    async def save(self, container: Container) -> None:
        """Write the record as it is now."""
        await self._database.run(self.saving(container))

    async def save_mounts(self, container: Container) -> None:
        """Write the record as it is now, and which images it mounts."""

        def change(connection: sqlite3.Connection) -> None:
            CONTAINERS.put(connection, container.record)
            IMAGE_MOUNTS.delete(connection, container=container.id)
            for mounted in _image_mounts(container.record):
                mounted(connection)

        await self._database.run(change)

    def saving(self, container: Container) -> Change:
        """``save`` as a part of somebody else's commit."""
        self.note(container)
        return CONTAINERS.putting(container.record)

    async def save_running(self, container: Container) -> None:
        """Write that the container runs, while its start is still under way: the disk need not be waited for twice."""
        state = msgspec.structs.replace(
            container.record.state, status="running", started_at=time.time_ns(), exit_code=0
        )
        await self._database.run(CONTAINERS.putting(msgspec.structs.replace(container.record, state=state)))

    async def rename(self, container: Container, name: str) -> None:
        """Raises Conflict when the name is taken."""
        self._refuse_taken(name)
        old = container.name
        self._by_name[name] = container
        container.record.name = name
        try:
            await self.save(container)
        except Exception:
            container.record.name = old
            del self._by_name[name]
            raise
        except BaseException:  # the caller was cancelled; the row is written all the same
            self._by_name.pop(old, None)
            raise
        self._by_name.pop(old, None)

    async def remove(self, container: Container, *also: Change) -> None:
        """Delete the row. ``also``: what goes with that in the same transaction."""

        def change(connection: sqlite3.Connection) -> None:
            CONTAINERS.delete(connection, id=container.id)
            for other in also:
                other(connection)

        await self._database.run(change)
        self._forget(container)

    async def _insert(self, record: Record, also: Sequence[Change]) -> None:
        insert = CONTAINERS.inserting(record)
        images = _image_mounts(record)

        def change(connection: sqlite3.Connection) -> None:
            insert(connection)
            for mounted in images:
                mounted(connection)
            for other in also:
                other(connection)

        try:
            await self._database.run(change)
        except sqlite3.IntegrityError as error:
            if "containers.name" in str(error):  # how SQLite names the constraint
                raise Conflict(f'Conflict. The container name "/{record.name}" is already in use.') from error
            raise Internal(f"cannot record container {record.id}: {error}") from error

    def _refuse_taken(self, name: str) -> None:
        owner = self._by_name.get(name)
        if owner is not None:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{owner.id}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )

    def note(self, container: Container) -> None:
        """Tell of what the record says now; saving does so."""
        for note in self.on_record:
            note(container)

    def _forget(self, container: Container) -> None:
        self._by_id.pop(container.id, None)
        for forget in self.on_remove:
            forget(container.id)
        links, container.record.links = container.record.links, {}
        for target in links.values():
            self.unlink(container, target)
        if self._by_name.get(container.name) is container:
            del self._by_name[container.name]


def _image_mounts(record: Record) -> list[Change]:
    """The rows that keep the images which it mounts."""
    return [IMAGE_MOUNTS.inserting(ImageMount(record.id, image)) for image in record.mounted_images]
