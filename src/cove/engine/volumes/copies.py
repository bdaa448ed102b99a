"""What volumes are copied to and from: other volumes, snapshots, backups.

A copy is made beside the volumes under a name that the next start removes, and renamed when it is whole. While
containers write, it is made twice: once as they run, and once more, of what has changed since, while they are paused.
"""

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from cove.engine.containers.registry import Registry
from cove.engine.events.events import Events
from cove.engine.volumes.access import Access
from cove.engine.volumes.renamed import renamed
from cove.engine.volumes.replacing import Replacing
from cove.engine.volumes.stillness import Still
from cove.engine.volumes.use import Use
from cove.errors import InvalidArgument
from cove.layers import Worker
from cove.layers.looking.difference_lines import read_lines
from cove.layers.worker.staging import written
from cove.layers.worker.tree_jobs import BackUp, CompareTrees, CopyTree, Restore, TreeDone
from cove.units import format_time
from cove.volumes import LOCAL, Source, Volumes
from cove.volumes import Volume as Record
from cove.volumes.snapshots import DATA, Snapshot, checked_tag
from cove.wire.containers import Change
from cove.wire.volume_copies import Stillness, VolumeCloned, VolumeRestored, VolumeSnapshot
from cove.wire.volumes import Volume


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
        access: Access,
        show: Callable[[str], Awaitable[Volume]],
    ) -> None:
        """``show``: a volume as the API has it."""
        self._show = show
        self._volumes = volumes
        self._registry = registry
        self._still = still
        self._worker = worker
        self._events = events
        self._access = access
        self._use = Use(registry)
        self._replacing = Replacing(volumes, worker, access, self._use)

    async def rename(self, name: str, new: str) -> Volume:
        """Raises Conflict while a container that runs has it, or when the name is taken; InvalidArgument."""
        driver = self._volumes.get(name).driver
        if driver != LOCAL:
            raise InvalidArgument(f"rename {name}: the driver {driver} knows it by this name")
        async with self._use.nobody(name, "rename") as users:
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
        """A new local volume with the same files, labels and size."""
        record = self._volumes.get(name)
        size = {"size": record.options["size"]} if record.options.get("size") else {}
        async with self._replacing.made(self._volumes.beginning(new)) as directory:
            async with self._replacing.bounded(directory, name) as target:
                paused = await self._copied(name, target)
            made = Record(new, LOCAL, time.time_ns(), size, dict(record.labels))
            await self._volumes.admit(made, directory)
        self._events.publish("volume", "create", new, {"driver": made.driver})
        return VolumeCloned(volume=await self._show(made.name), paused=paused)

    async def snapshots(self, name: str) -> Sequence[VolumeSnapshot]:
        """The oldest first."""
        self._volumes.get(name)
        return [_shown(name, snapshot) for snapshot in self._volumes.snapshots.all(name)]

    async def snapshot(self, name: str, tag: str) -> VolumeSnapshot:
        """``tag``: by default the time in UTC. Raises Conflict when there is one of this tag."""
        record, store = self._volumes.get(name), self._volumes.snapshots
        tag = checked_tag(tag or time.strftime("%Y%m%d-%H%M%S", time.gmtime()))
        store.refuse_taken(name, tag)
        async with self._replacing.made(store.begin(name)) as directory:
            paused = await self._copied(name, Source(str(directory / DATA)))
            async with self._volumes.locked(name):
                self._volumes.get(name)
                store.refuse_taken(name, tag)
                made = store.finish(name, directory, tag)
        self._events.publish("volume", "snapshot", name, {"driver": record.driver, "tag": tag})
        shown = _shown(name, made)
        shown.paused = paused
        return shown

    async def remove_snapshot(self, name: str, tag: str) -> None:
        self._volumes.get(name)
        async with self._volumes.locked(name):
            gone = self._volumes.snapshots.withdraw(name, tag)
        await self._replacing.remove(gone)

    async def restore(self, name: str, tag: str) -> VolumeRestored:
        """The files of a snapshot become the volume's, whose own go. Raises Conflict while a container runs with it."""
        record = self._volumes.get(name)
        self._replacing.refuse(name)
        source = Source(str(self._volumes.snapshots.path(name, tag)))
        async with self._replacing.of(name) as target:
            await self._copy(source, target)
        self._events.publish("volume", "restore", name, {"driver": record.driver, "tag": tag})
        return VolumeRestored(volume=await self._show(record.name))

    async def changes(self, name: str, old: str, new: str) -> AsyncIterator[Change]:
        """From one snapshot to another, or to the volume as it is for an empty ``new``."""
        self._volumes.get(name)
        store = self._volumes.snapshots
        before = str(store.path(name, old))
        if new:
            return self._compared(CompareTrees(before, str(store.path(name, new))))
        return self._compared_with(name, before)

    async def back_up(self, name: str, tag: str) -> tuple[AsyncIterator[bytes], Stillness]:
        """A tar.zst of the volume, or of a snapshot. Containers that write to it are paused only for a copy."""
        record = self._volumes.get(name)
        if tag:
            return self._packed(BackUp(str(self._volumes.snapshots.path(name, tag)))), Stillness()
        self._events.publish("volume", "backup", name, {"driver": record.driver})
        if not self._still.writers(name):
            return self._backed_up(name), Stillness()
        directory = self._volumes.snapshots.begin(name)
        try:
            paused = await self._copied(name, Source(str(directory / DATA)))
        except BaseException:
            await self._replacing.remove(directory)
            raise
        return self._of_copy(directory), paused

    async def restore_backup(self, name: str, chunks: AsyncIterator[bytes]) -> VolumeRestored:
        """The files of a backup become the volume's, which is made when it is not there.

        Raises InvalidArgument for what is no backup, Conflict while a container runs with the volume.
        """
        made = not self._volumes.has(name)
        if made:
            async with self._replacing.made(self._volumes.beginning(name)) as directory:
                await self._unpack(Source(str(directory / DATA)), chunks)
                await self._volumes.admit(Record(name, LOCAL, time.time_ns()), directory)
        else:
            async with self._replacing.of(name) as target:
                await self._unpack(target, chunks)
        record = self._volumes.get(name)
        self._events.publish("volume", "create" if made else "restore", name, {"driver": record.driver})
        return VolumeRestored(volume=await self._show(record.name), made=made)

    async def _copied(self, name: str, target: Source) -> Stillness:
        """Copy a volume's files, which do not change while it is done for the last time."""
        async with self._access.to(name) as source:
            since = 0
            if self._still.writers(name):
                since = time.time_ns()
                await self._copy(source, target)
            async with self._still.of(name) as told:
                await self._copy(source, target, since)
            return told

    async def _copy(self, source: Source, target: Source, since: int = 0) -> None:
        staged = written([*source.staged, *target.staged])
        await self._worker.run(CopyTree(source.path, target.path, since, staged), TreeDone)

    async def _unpack(self, target: Source, chunks: AsyncIterator[bytes]) -> None:
        await self._worker.run_stream(Restore(target.path, staged=written(target.staged)), TreeDone, chunks)

    async def _compared_with(self, name: str, before: str) -> AsyncIterator[Change]:
        async with self._access.to(name) as own:
            found = self._compared(CompareTrees(before, own.path, written(own.staged)))
            async with contextlib.aclosing(found):
                async for change in found:
                    yield change

    async def _compared(self, job: CompareTrees) -> AsyncGenerator[Change]:
        output = self._worker.output(job, TreeDone)
        async with contextlib.aclosing(output):
            async for found in read_lines(output):
                for difference in found:
                    yield Change(path=difference.path, kind=difference.kind)

    async def _backed_up(self, name: str) -> AsyncIterator[bytes]:
        async with self._access.to(name) as own:
            packed = self._packed(BackUp(own.path, written(own.staged)))
            async with contextlib.aclosing(packed):
                async for chunk in packed:
                    yield chunk

    async def _of_copy(self, directory: Path) -> AsyncIterator[bytes]:
        """Of a copy, which goes with it."""
        async with self._replacing.made(directory):
            packed = self._packed(BackUp(str(directory / DATA)))
            async with contextlib.aclosing(packed):
                async for chunk in packed:
                    yield chunk

    async def _packed(self, job: BackUp) -> AsyncGenerator[bytes]:
        output = self._worker.output(job, TreeDone)
        async with contextlib.aclosing(output):
            async for chunk in output:
                yield chunk


def _shown(volume: str, snapshot: Snapshot) -> VolumeSnapshot:
    return VolumeSnapshot(volume=volume, tag=snapshot.tag, created=format_time(snapshot.created))
