"""The API's requests about the trash: list, bring back, delete."""

import contextlib
from collections.abc import Sequence

import msgspec

from cove.engine.containers import names
from cove.engine.containers.container import Container, Locations
from cove.engine.containers.registry import Registry
from cove.engine.events.announcements import Announcements
from cove.engine.networking.connectivity import Connectivity
from cove.engine.networking.learned import Learned
from cove.engine.removing import removed
from cove.engine.volumes import removed as removed_volumes
from cove.errors import Conflict, CoveError, Internal
from cove.trash import Entry, Trash
from cove.units import format_time
from cove.volumes import Volumes
from cove.wire.trash import Restored, Trashed, TrashEmptied


class Undo:
    """Shows what was removed, and brings it back."""

    def __init__(
        self,
        *,
        trash: Trash,
        registry: Registry,
        locations: Locations,
        volumes: Volumes,
        connectivity: Connectivity,
        announcements: Announcements,
        learned: Learned,
    ) -> None:
        self._trash = trash
        self._registry = registry
        self._locations = locations
        self._volumes = volumes
        self._connectivity = connectivity
        self._announcements = announcements
        self._learned = learned

    async def list(self) -> Sequence[Trashed]:
        """The newest first."""
        return [self._shown(entry) for entry in self._trash]

    def _shown(self, entry: Entry) -> Trashed:
        made = Trashed(
            id=entry.id,
            kind=entry.kind,
            name=entry.name,
            removed=format_time(entry.removed),
            expires=format_time(self._trash.expires(entry)),
            size=self._trash.size(entry),
        )
        if entry.kind == removed.KIND:
            kept = removed.kept(entry)
            made.image = kept.record.image_name
            made.volumes = [volume.name for volume in kept.volumes]
        return made

    async def restore(self, reference: str, name: str) -> Restored:
        """Bring a container or volume back, the last one that was removed for an empty reference.

        Raises NotFound, Conflict when the name is taken (``name`` gives it another), InvalidArgument.
        """
        async with self._trash.held(reference) as entry:
            if entry.kind == removed_volumes.KIND:
                return await self._volume(entry, name)
            chosen = names.checked(name) if name else ""
            kept = removed.kept(entry)
            kept.record.name = chosen or kept.record.name
            if kept.record.state.status != "created":
                kept.record.state.status = "exited"
            self._refuse_taken(kept.record.name)
            container = Container(kept.record, self._locations.paths(entry.id))
            await self._bring_back(entry, kept, container)
        warnings = [*await self._replace_volumes(container), *self._missing(container)]
        self._announcements.publish(container, "restore")
        return Restored(id=container.id, name=container.name, warnings=warnings)

    async def _volume(self, entry: Entry, name: str) -> Restored:
        volume = removed_volumes.kept(entry)
        volume = msgspec.structs.replace(volume, name=name or volume.name)
        place = self._trash.path(entry, entry.directories[0])
        try:
            await self._volumes.bring_back(volume, place, self._trash.taking(entry))
        except Conflict as error:
            raise Conflict(f"{error.message}: bring the removed one back under another name (--name)") from error
        self._trash.taken(entry)
        self._announcements.volume_made(volume.name, volume.driver)
        return Restored(id=entry.id, name=volume.name)

    def _refuse_taken(self, name: str) -> None:
        if self._registry.name_taken(name):
            owner = self._registry.get(name)
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{owner.id}". '
                "Bring the removed one back under another name (--name)."
            )

    async def _bring_back(self, entry: Entry, kept: removed.Kept, container: Container) -> None:
        try:
            async with self._volumes.returning(kept.volumes) as change:
                self._trash.move_back(entry)
                learned = [self._learned.restoring(kept.learned)] if kept.learned is not None else []
                await self._registry.add(container, self._trash.taking(entry), change, *learned)
        except BaseException as error:
            if container.id not in self._registry:
                self._trash.move_in(entry)
            if isinstance(error, OSError):
                raise Internal(f"cannot bring container {entry.id} back: {error}") from error
            raise
        self._trash.taken(entry)
        if kept.learned is not None:
            self._learned.restored(kept.learned)
        for volume in kept.volumes:
            self._announcements.volume_made(volume.name, volume.driver)

    async def _replace_volumes(self, container: Container) -> Sequence[str]:
        """Make volumes anew that were removed meanwhile; what to tell of them."""
        warnings = []
        for mount in container.record.mounts:
            if mount.kind == "volume" and not self._volumes.has(mount.name):
                with contextlib.suppress(CoveError):
                    volume = await self._volumes.create(mount.name, driver=mount.driver, labels=mount.labels)
                    self._announcements.volume_made(volume.name, volume.driver)
                warnings.append(f"volume {mount.name} was removed meanwhile: an empty one is in its place")
        return warnings

    def _missing(self, container: Container) -> Sequence[str]:
        """What a start will miss."""
        host = container.record.host_config
        found = [f"network {name} no longer exists" for name in self._connectivity.missing(container)]
        for mode in (host.network_mode, host.ipc_mode, host.pid_mode):
            other = mode.removeprefix("container:")
            if other != mode and other not in self._registry:
                found.append(f"container {other[:12]}, whose namespace it joins, no longer exists")
        return found

    async def delete(self, reference: str) -> None:
        await self._trash.remove(reference)

    async def empty(self) -> TrashEmptied:
        entries, size = await self._trash.empty()
        return TrashEmptied(deleted=[entry.id for entry in entries], space_reclaimed=size)
