"""What volumes are copied to and from: other volumes, snapshots, backups.

A copy is made beside the volumes under a name that the next start removes, and renamed when it is whole. While
containers write, it is made twice: once as they run, and once more, of what has changed since, while they are paused.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.events.events import Events
from cove.engine.volumes.renamed import renamed
from cove.engine.volumes.stillness import Still
from cove.errors import Conflict, InvalidArgument
from cove.layers import Worker
from cove.layers.worker.jobs import Difference, Remove, RemoveDone
from cove.layers.worker.tree_jobs import BackUp, CompareTrees, CopyTree, Restore, TreeDone
from cove.units import format_time
from cove.volumes import Volume as Record
from cove.volumes import Volumes
from cove.volumes.snapshots import Snapshot, checked_tag
from cove.wire.containers import Change
from cove.wire.volume_copies import Stillness, VolumeCloned, VolumeRestored, VolumeSnapshot
from cove.wire.volumes import Volume

_LINES = msgspec.json.Decoder(Difference)


class VolumeCopies:
    """Renames, clones, snapshots, compares and backs up; ``worker`` copies the files."""

    def __init__(
        self,
        *,
        volumes: Volumes,
        registry: Registry,
        still: Still,
        worker: Worker,
        events: Events,
        show: Callable[[str], Awaitable[Volume]],
    ) -> None:
        """``show``: a volume as the API has it."""
        self._show = show
        self._volumes = volumes
        self._registry = registry
        self._still = still
        self._worker = worker
        self._events = events

    async def rename(self, name: str, new: str) -> Volume:
        """Raises Conflict while a container that runs has it, or when the name is taken."""
        self._own(name)
        async with self._unused(name, "rename") as users:
            before = [(user, user.record) for user in users]
            for user in users:
                user.record = renamed(user.record, name, new, str(self._volumes.path(new)))
            try:
                record = await self._volumes.rename(name, new, *(self._registry.saving(user) for user in users))
            except Exception:
                for user, old in before:
                    user.record = old
                raise
        self._events.publish("volume", "rename", new, {"driver": record.driver, "oldName": name})
        return await self._show(record.name)

    async def clone(self, name: str, new: str) -> VolumeCloned:
        """A new volume with the same files and labels."""
        record = self._own(name)
        async with self._made(self._volumes.beginning(new)) as directory:
            paused = await self._copied(name, directory / "_data")
            made = Record(new, record.driver, time.time_ns(), labels=dict(record.labels))
            await self._volumes.admit(made, directory)
        self._events.publish("volume", "create", new, {"driver": made.driver})
        return VolumeCloned(volume=await self._show(made.name), paused=paused)

    async def snapshots(self, name: str) -> Sequence[VolumeSnapshot]:
        """The oldest first."""
        self._own(name)
        return [_shown(name, snapshot) for snapshot in self._volumes.snapshots.all(name)]

    async def snapshot(self, name: str, tag: str) -> VolumeSnapshot:
        """``tag``: by default the time in UTC. Raises Conflict when there is one of this tag."""
        record, store = self._own(name), self._volumes.snapshots
        tag = checked_tag(tag or time.strftime("%Y%m%d-%H%M%S", time.gmtime()))
        store.refuse_taken(name, tag)
        async with self._made(store.begin(name)) as directory:
            paused = await self._copied(name, directory / "_data")
            async with self._volumes.locked(name):
                self._own(name)
                store.refuse_taken(name, tag)
                made = store.finish(name, directory, tag)
        self._events.publish("volume", "snapshot", name, {"driver": record.driver, "tag": tag})
        shown = _shown(name, made)
        shown.paused = paused
        return shown

    async def remove_snapshot(self, name: str, tag: str) -> None:
        self._own(name)
        async with self._volumes.locked(name):
            gone = self._volumes.snapshots.withdraw(name, tag)
        await self._remove(gone)

    async def restore(self, name: str, tag: str) -> VolumeRestored:
        """The files of a snapshot become the volume's, whose own go. Raises Conflict while a container runs with it."""
        record, store = self._own(name), self._volumes.snapshots
        self._refuse_running(name, "restore")
        source = store.path(name, tag)
        async with self._made(store.begin(name)) as directory:
            await self._copy(source, directory / "_data")
            await self._exchange(name, directory)
        self._events.publish("volume", "restore", name, {"driver": record.driver, "tag": tag})
        return VolumeRestored(volume=await self._show(record.name))

    async def changes(self, name: str, old: str, new: str) -> AsyncIterator[Change]:
        """From one snapshot to another, or to the volume as it is for an empty ``new``."""
        self._own(name)
        store = self._volumes.snapshots
        after = store.path(name, new) if new else self._volumes.path(name)
        return self._compared(CompareTrees(str(store.path(name, old)), str(after)))

    async def back_up(self, name: str, tag: str) -> tuple[AsyncIterator[bytes], Stillness]:
        """A tar.zst of the volume, or of a snapshot. Containers that write to it are paused only for a copy."""
        record = self._own(name)
        if tag:
            return self._backed_up(self._volumes.snapshots.path(name, tag), None), Stillness()
        self._events.publish("volume", "backup", name, {"driver": record.driver})
        if not self._still.writers(name):
            return self._backed_up(self._volumes.path(name), None), Stillness()
        directory = self._volumes.snapshots.begin(name)
        try:
            paused = await self._copied(name, directory / "_data")
        except BaseException:
            await self._remove(directory)
            raise
        return self._backed_up(directory / "_data", directory), paused

    async def restore_backup(self, name: str, chunks: AsyncIterator[bytes]) -> VolumeRestored:
        """The files of a backup become the volume's, which is made when it is not there.

        Raises InvalidArgument for what is no backup, Conflict while a container runs with the volume.
        """
        there = self._volumes.has(name)
        if there:
            self._own(name)
            self._refuse_running(name, "restore")
        begun = self._volumes.snapshots.begin(name) if there else self._volumes.beginning(name)
        async with self._made(begun) as directory:
            await self._worker.run_stream(Restore(str(directory / "_data")), TreeDone, chunks)
            if there:
                await self._exchange(name, directory)
                record = self._volumes.get(name)
            else:
                record = Record(name, "local", time.time_ns())
                await self._volumes.admit(record, directory)
        action = "restore" if there else "create"
        self._events.publish("volume", action, name, {"driver": record.driver})
        return VolumeRestored(volume=await self._show(record.name), made=not there)

    def _own(self, name: str) -> Record:
        """A volume whose files lie in a directory of ours. Raises NotFound, InvalidArgument for another."""
        record = self._volumes.get(name)
        if not self._volumes.is_directory(record):
            raise InvalidArgument(f"volume {name} is not a directory of this engine: its files are its driver's")
        return record

    def _refuse_running(self, name: str, action: str) -> None:
        users = [user for user in self._registry.volume_users(name) if user.running]
        if users:
            words = ", ".join(user.id for user in users)
            raise Conflict(f"{action} {name}: volume is in use by running containers - [{words}]")

    @contextlib.asynccontextmanager
    async def _unused(self, name: str, action: str) -> AsyncIterator[Sequence[Container]]:
        """While none of the volume's containers runs or starts: those. Raises Conflict."""
        self._refuse_running(name, action)
        users = sorted(self._registry.volume_users(name), key=lambda user: user.id)
        async with contextlib.AsyncExitStack() as locks:
            for user in users:
                await locks.enter_async_context(self._registry.locked(user))
            self._refuse_running(name, action)
            yield users

    async def _copied(self, name: str, target: Path) -> Stillness:
        """Copy a volume's files, which do not change while it is done for the last time."""
        source, since = self._volumes.path(name), 0
        if self._still.writers(name):
            since = time.time_ns()
            await self._copy(source, target)
        async with self._still.of(name) as told:
            await self._copy(source, target, since)
        return told

    async def _copy(self, source: Path, target: Path, since: int = 0) -> None:
        await self._worker.run(CopyTree(str(source), str(target), since), TreeDone)

    async def _exchange(self, name: str, directory: Path) -> None:
        async with self._unused(name, "restore"), self._volumes.locked(name):
            self._own(name)
            self._volumes.snapshots.exchange(name, directory)

    @contextlib.asynccontextmanager
    async def _made(self, directory: Path) -> AsyncIterator[Path]:
        """A directory that is filled; what is still there at the end goes."""
        try:
            yield directory
        finally:
            if directory.exists():
                await asyncio.shield(self._remove(directory))

    async def _remove(self, directory: Path) -> None:
        await self._worker.run(Remove([str(directory)]), RemoveDone)

    async def _compared(self, job: CompareTrees) -> AsyncIterator[Change]:
        rest = b""
        output = self._worker.output(job, TreeDone)
        async with contextlib.aclosing(output):
            async for chunk in output:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    found = _LINES.decode(line)
                    yield Change(path=found.path, kind=found.kind)

    async def _backed_up(self, source: Path, temporary: Path | None) -> AsyncIterator[bytes]:
        try:
            output = self._worker.output(BackUp(str(source)), TreeDone)
            async with contextlib.aclosing(output):
                async for chunk in output:
                    yield chunk
        finally:
            if temporary is not None:
                await asyncio.shield(self._remove(temporary))


def _shown(volume: str, snapshot: Snapshot) -> VolumeSnapshot:
    return VolumeSnapshot(volume=volume, tag=snapshot.tag, created=format_time(snapshot.created))
