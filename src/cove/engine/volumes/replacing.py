"""New files for a volume, which take the place of those that it has once they are all there.

A directory is exchanged for another one, and a disk for another one, in one step. A file system that is not ours alone
(a device, a server, a plug-in's) is made like the new files in place.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from cove.engine.volumes.access import Access
from cove.engine.volumes.use import Use
from cove.errors import Conflict
from cove.kernel import file_data
from cove.layers import Worker
from cove.layers.worker.jobs import Remove, RemoveDone
from cove.layers.worker.staging import written
from cove.layers.worker.tree_jobs import CopyTree, TreeDone
from cove.volumes import Source, Volumes, spaces
from cove.volumes.snapshots import DATA

_USER = "restore"


class Replacing:
    """``worker`` removes and copies; ``use`` says who has a volume."""

    def __init__(self, volumes: Volumes, worker: Worker, access: Access, use: Use) -> None:
        self._volumes = volumes
        self._worker = worker
        self._access = access
        self._use = use

    @contextlib.asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[Source]:
        """An empty place that is to be filled; with the end of the context it becomes the volume's.

        Raises Conflict while a container runs with the volume, or when that was given another size meanwhile; then, and
        after any error, it is as it was.
        """
        self.refuse(name)
        size = self._size(name)
        async with self.made(self._volumes.snapshots.begin(name)) as directory:
            async with self.bounded(directory, name) as target:
                yield target
                if target.staged:
                    await asyncio.to_thread(file_data.sync, spaces.disk_of(directory / DATA))
            async with self._use.nobody(name, "restore"), self._volumes.locked(name):
                self._volumes.get(name)
                if self._size(name) != size:
                    raise Conflict(
                        f"restore {name}: the volume has been given another size meanwhile: restore it again"
                    )
                await self._replace(name, directory)

    def refuse(self, name: str) -> None:
        """Raises NotFound, and Conflict for what cannot be restored now or at all."""
        self._volumes.get(name)
        self._use.refuse_running(name, "restore")
        if self._access.in_memory(name):
            raise Conflict(f"restore {name}: the volume is in memory, and empty while no container has it")

    def _size(self, name: str) -> int | None:
        space = self._volumes.space(name)
        return None if space is None else space.limit

    @contextlib.asynccontextmanager
    async def bounded(self, directory: Path, name: str) -> AsyncIterator[Source]:
        """``_data`` in a new directory, with a size like that of the volume ``name``, to be filled."""
        place = directory / DATA
        space = self._volumes.space(name)
        if space is None:
            yield Source(str(place))
            return
        place.mkdir(mode=0o755)
        await self._volumes.spaces.make(place, space.limit)
        try:
            yield Source(str(place), await self._volumes.spaces.attach(place, _USER))
        finally:
            self._volumes.spaces.release(place, _USER)

    async def _replace(self, name: str, directory: Path) -> None:
        record, place = self._volumes.get(name), self._volumes.path(name)
        disk = spaces.disk_of(directory / DATA)
        if disk.exists():
            if self._volumes.spaces.busy(place):
                raise Conflict(f"restore {name}: its disk is in use")
            disk.rename(spaces.disk_of(place))
        elif self._volumes.is_ours(record):
            self._volumes.snapshots.exchange(name, directory)
            self._volumes.spaces.forget(directory / DATA)
        else:
            async with self._access.to(name) as own:
                await self._worker.run(CopyTree(str(directory / DATA), own.path, staged=written(own.staged)), TreeDone)

    @contextlib.asynccontextmanager
    async def made(self, directory: Path) -> AsyncIterator[Path]:
        """A directory that is filled; what is still there at the end goes."""
        try:
            yield directory
        finally:
            if directory.exists():
                await asyncio.shield(self.remove(directory))

    async def remove(self, directory: Path) -> None:
        await self._worker.run(Remove([str(directory)]), RemoveDone)
