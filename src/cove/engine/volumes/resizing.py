"""The API's request to give a volume another size."""

import asyncio
import errno
import os
from pathlib import Path

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.events.events import Events
from cove.errors import Conflict, Forbidden, Internal, NoSpace
from cove.kernel import file_data
from cove.layers import Worker
from cove.layers.worker.jobs import CopyDone, GrowDisk
from cove.layers.worker.staging import written
from cove.layers.worker.tree_jobs import CopyTree, TreeDone
from cove.units import human_binary_size
from cove.volumes import Space, Volumes, spaces

USER = "resize"


class Resizing:
    """Quotas and disks grow while containers have them; a disk that cannot, or shrinks, is copied to another one."""

    def __init__(self, volumes: Volumes, registry: Registry, worker: Worker, events: Events) -> None:
        self._volumes = volumes
        self._registry = registry
        self._worker = worker
        self._events = events

    async def resize(self, name: str, size: int) -> None:
        """``size``: bytes. Raises NotFound, InvalidArgument, Conflict; then the volume is as it was."""
        volume = self._volumes.get(name)
        spaces.check(size)
        async with self._volumes.locked(name):
            space = self._volumes.space(name)
            if space is None:
                raise Conflict(f"resize {name}: the volume has no size that could be changed: it was made without one")
            try:
                await self._change(name, self._volumes.path(name), space, size)
            except OSError as error:
                kind = NoSpace if error.errno == errno.ENOSPC else Internal
                raise kind(f"resize {name}: {error.strerror or error}") from error
            await self._volumes.note_size(name, size)
        self._events.publish("volume", "resize", name, {"driver": volume.driver, "size": str(size)})

    async def _change(self, name: str, place: Path, space: Space, size: int) -> None:
        if size < space.used:
            raise Conflict(f"resize {name}: {human_binary_size(space.used)} of it are in use")
        if space.backing == spaces.QUOTA:
            self._volumes.spaces.limit(place, size)
        elif size >= space.limit and await self._grow(place, space.limit, size):
            return
        else:
            self._refuse_users(name, place, size >= space.limit)
            await self._move(place, size)

    async def _grow(self, place: Path, before: int, size: int) -> bool:
        """Whether the kernel lets this daemon do it."""
        staged = await self._volumes.spaces.attach(place, USER)
        try:
            await asyncio.to_thread(self._volumes.spaces.lengthen, place, USER, size)
            await self._worker.run(GrowDisk(written(staged), str(place), size), CopyDone)
            return True
        except BaseException as error:
            self._volumes.spaces.lengthen(place, USER, before)
            if isinstance(error, Forbidden):
                return False
            raise
        finally:
            self._volumes.spaces.release(place, USER)

    async def _move(self, place: Path, size: int) -> None:
        """To a disk of another size. What is killed leaves the old disk, and a new one that the next start removes."""
        beside = place.with_name("_copy")
        beside.mkdir(mode=0o700, exist_ok=True)
        disk = spaces.disk_of(beside)
        try:
            await asyncio.to_thread(spaces.make_disk, disk, size)
            staged = [
                *await self._volumes.spaces.attach(place, USER),
                *await self._volumes.spaces.attach(beside, USER),
            ]
            await self._worker.run(CopyTree(str(place), str(beside), staged=written(staged)), TreeDone)
            await asyncio.to_thread(_replace, disk, spaces.disk_of(place))
        finally:
            for each in (place, beside):
                self._volumes.spaces.release(each, USER)
            disk.unlink(missing_ok=True)
            beside.rmdir()

    def _refuse_users(self, name: str, place: Path, grows: bool) -> None:
        users: list[Container] = [
            user for user in self._registry.volume_users(name) if user.running or user.lock.locked()
        ]
        if users or self._volumes.spaces.busy(place):
            ids = ", ".join(user.id for user in users)
            why = "an ext4 grows meanwhile only with CAP_SYS_RESOURCE" if grows else "meanwhile it can only grow"
            raise Conflict(f"resize {name}: volume is in use - [{ids}]: {why}")


def _replace(new: Path, old: Path) -> None:
    file_data.sync(new)
    os.rename(new, old)
