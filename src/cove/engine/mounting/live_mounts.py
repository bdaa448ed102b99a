"""``cove update --mount-add`` and ``--mount-rm``: the mounts of a container that may run."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple

import msgspec

from cove.engine.bundle.bundles import Bundles
from cove.engine.containers.archives import open_mount_namespace
from cove.engine.containers.container import Container
from cove.engine.containers.record import MountPoint, Record
from cove.engine.containers.registry import Registry
from cove.engine.mounting import mounts
from cove.engine.mounting.mount_sources import MountSources
from cove.engine.volumes.mounts import VolumeMounts
from cove.errors import Conflict, CoveError, InvalidArgument
from cove.kernel.staged_mounts import StagedMount
from cove.layers import Worker
from cove.layers.worker.staging import written
from cove.layers.worker.tree_jobs import AttachMount, DetachMount, TreeDone
from cove.volumes import Source, Volumes, mount_words
from cove.wire.config import Config
from cove.wire.containers import ContainerUpdate
from cove.wire.host_config import HostConfig, Mount

_KERNEL = {"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"}
"""Where every container has mounts that are in no record."""


class MountEdit(NamedTuple):
    """``wanted``: ``added`` as the request has them."""

    added: Sequence[MountPoint]
    removed: Sequence[MountPoint]
    wanted: Sequence[Mount]


class LiveMounts:
    """Changes the record, and the namespace of what runs. Under the container's lock."""

    def __init__(
        self,
        registry: Registry,
        volume_mounts: VolumeMounts,
        volumes: Volumes,
        worker: Worker,
        sources: MountSources,
        bundles: Bundles,
    ) -> None:
        self._registry = registry
        self._mounts = volume_mounts
        self._bundles = bundles
        self._volumes = volumes
        self._worker = worker
        self._sources = sources

    def plan(self, container: Container, request: ContainerUpdate) -> MountEdit | None:
        """What the request changes. Raises InvalidArgument, Conflict naming the mount."""
        if not request.mount_add and not request.mount_remove:
            return None
        there = {mount.destination: mount for mount in container.record.mounts}
        removed = []
        for path in request.mount_remove or []:
            destination = os.path.normpath(path)
            if destination not in there:
                raise InvalidArgument(f"MountRemove: the container has no mount at {path}")
            removed.append(there.pop(destination))
        added = mounts.points(Config(), HostConfig(mounts=request.mount_add))
        for point in added:
            if point.destination in there:
                raise Conflict(f"Duplicate mount point: {point.destination}")
        return MountEdit(added, removed, request.mount_add or [])

    @contextlib.asynccontextmanager
    async def applied(self, container: Container, edit: MountEdit | None) -> AsyncIterator[None]:
        """While the rest of the request is done: all of it or, when that or the rest fails, nothing of it."""
        if edit is None:
            yield
            return
        before = container.record
        had, has = _volumes_of(before.mounts), _volumes_of([*_left(before, edit), *edit.added])
        try:
            with contextlib.ExitStack() as held:
                self._sources.hold_images(edit.added, held)
                await self._sources.settle(edit.added, before.host_config)
                async with self._changed(container, edit):
                    yield
        except BaseException:
            await self._release(container, {point.name for point in edit.added} - had)
            raise
        await self._release(container, had - has)

    @contextlib.asynccontextmanager
    async def _changed(self, container: Container, edit: MountEdit) -> AsyncIterator[None]:
        before = container.record
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self._save, container, before)
            await self._save(container, msgspec.structs.replace(before, editing=[*edit.removed, *edit.added]))
            for point in edit.removed:
                await self._detach(container, point.destination)
                undo.push_async_callback(self._attach, container, point)
            for point in edit.added:
                await self._attach(container, point)
                undo.push_async_callback(self._detach, container, point.destination)
            await self._save(container, _edited(before, edit))
            yield
            undo.pop_all()

    async def finish(self) -> None:
        """What a daemon that was killed was editing has the mounts of its record again, no more and no less."""
        for container in self._registry:
            if container.record.editing:
                async with self._registry.locked(container):
                    await self._restore(container)

    async def _restore(self, container: Container) -> None:
        record = container.record
        edited = {point.destination for point in record.editing} - _KERNEL - set(self._bundles.etc_files(container))
        for destination in edited:
            with contextlib.suppress(CoveError):  # it had not come that far
                await self._detach(container, destination)
        for point in record.mounts:
            if point.destination in edited:
                await self._attach(container, point)
        for name in _volumes_of(record.editing) - _volumes_of(record.mounts):
            await self._volumes.adopt(name, container.id)
            await self._volumes.unmount(name, container.id)
        await self._save(container, msgspec.structs.replace(record, editing=[]))

    async def _save(self, container: Container, record: Record) -> None:
        container.record = record
        await self._registry.save_mounts(container)

    async def _release(self, container: Container, volumes: Iterable[str]) -> None:
        """It needs these volumes no longer."""
        for name in volumes:
            await self._volumes.unmount(name, container.id)

    async def _attach(self, container: Container, point: MountPoint) -> None:
        """A container that does not run has it with its next start."""
        async with self._namespace(container) as namespace, self._alone(point):
            if namespace is not None:
                await self._worker.run(await self._job(container, point), TreeDone, namespace=namespace)

    @contextlib.asynccontextmanager
    async def _alone(self, point: MountPoint) -> AsyncIterator[None]:
        """Of those that mount the same volume in memory the second waits until the first has it."""
        async with self._volumes.locked(*([point.name] if self._mounts.access.in_memory(point.name) else [])):
            yield

    async def _job(self, container: Container, point: MountPoint) -> AttachMount:
        source = await self._source(container, point)
        await self._bundles.relabel(container.record, [point], source.staged)
        copied = any(mount.kind == "copy" for mount in source.staged)
        return AttachMount(
            source.path,
            point.destination,
            point.writable,
            mapped=point.kind in ("volume", "tmpfs") and not copied,
            staged=written(source.staged),
            recursion=point.recursion,
            propagation=point.propagation,
            idmap=point.idmap,
            user=container.record.config.user or "",
            root=self._bundles.root(container.record.host_config),
        )

    async def _source(self, container: Container, point: MountPoint) -> Source:
        place = str(container.paths.places / "live")
        if point.kind == "bind":
            return Source(point.source)
        if point.kind == "tmpfs":
            flags, data = mount_words.parse(",".join(point.options))
            if label := container.record.mount_label:
                data = f'{data}{"," if data else ""}context="{label}"'  # quoted for its commas
            return Source(place, (StagedMount("file system", place, "tmpfs", type="tmpfs", flags=flags, data=data),))
        return await self._mounts.source(container, point, place)

    async def _detach(self, container: Container, destination: str) -> None:
        async with self._namespace(container) as namespace:
            if namespace is not None:
                await self._worker.run(DetachMount(destination), TreeDone, namespace=namespace)

    @contextlib.asynccontextmanager
    async def _namespace(self, container: Container) -> AsyncIterator[int | None]:
        namespace = open_mount_namespace(container)
        try:
            yield namespace
        finally:
            if namespace is not None:
                os.close(namespace)


def _volumes_of(points: Iterable[MountPoint]) -> set[str]:
    return {point.name for point in points if point.kind == "volume"}


def _left(record: Record, edit: MountEdit) -> list[MountPoint]:
    """The mounts that stay."""
    gone = {point.destination for point in edit.removed}
    return [mount for mount in record.mounts if mount.destination not in gone]


def _edited(record: Record, edit: MountEdit) -> Record:
    """A copy of the record with the mounts, and the request that they would have come by."""
    gone = {point.destination for point in edit.removed}
    host = record.host_config
    kept = [mount for mount in host.mounts or [] if os.path.normpath(mount.target) not in gone]
    binds = [bind for bind in host.binds or [] if _destination(bind) not in gone]
    volumes = {
        path: value for path, value in (record.config.volumes or {}).items() if os.path.normpath(path) not in gone
    }
    named = [
        msgspec.structs.replace(mount, source=point.name or mount.source)
        for mount, point in zip(edit.wanted, edit.added, strict=True)
    ]
    return msgspec.structs.replace(
        record,
        config=msgspec.structs.replace(record.config, volumes=volumes or None),
        host_config=msgspec.structs.replace(host, mounts=[*kept, *named] or None, binds=binds or None),
        mounts=[*_left(record, edit), *edit.added],
    )


def _destination(bind: str) -> str:
    parts = bind.split(":")
    return os.path.normpath(parts[1] if len(parts) > 1 else parts[0])
