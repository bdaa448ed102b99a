"""How a container goes away: into the trash, or for good.

A row is deleted before its directories, so that what a ``kill -9`` leaves is garbage that the next start collects.
"""

import asyncio
import contextlib
import shutil

from cove.engine.bundle.bundles import Bundles
from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.events.announcements import Announcements
from cove.engine.lifecycle.background import Background
from cove.engine.lifecycle.stopping import Stopping
from cove.engine.mounting.root_sizes import RootSizes
from cove.engine.networking.connectivity import Connectivity
from cove.engine.networking.learned import Learned
from cove.engine.removing import removed
from cove.errors import Conflict, CoveError
from cove.images import Images
from cove.trash import Entry, Trash
from cove.volumes import Volumes


class Removal:
    """Removes containers with what belongs to them alone."""

    def __init__(
        self,
        *,
        registry: Registry,
        images: Images,
        volumes: Volumes,
        connectivity: Connectivity,
        bundles: Bundles,
        announcements: Announcements,
        stopping: Stopping,
        trash: Trash,
        learned: Learned,
        keeps_auto_removed: bool = False,
    ) -> None:
        self._registry = registry
        self._images = images
        self._volumes = volumes
        self._roots = RootSizes(volumes.spaces)
        self._connectivity = connectivity
        self._bundles = bundles
        self._announcements = announcements
        self._stopping = stopping
        self._trash = trash
        self._learned = learned
        self._keeps_auto_removed = keeps_auto_removed
        self._deletions = Background()
        trash.on_gone = self._gone

    async def remove(self, container: Container, *, force: bool, volumes: bool, now: bool = False) -> None:
        """Remove a container, with ``now`` past the trash.

        Raises Conflict, in Docker's words, when it runs and ``force`` is not given.
        """
        _check_running(container, force=force)
        if container.claim == "removal":
            raise Conflict(f"removal of container {container.id} is already in progress")
        container.claim = "removal"
        try:
            async with self._registry.locked(container):
                await self._stopping.call_off(container)
            while not await self._remove_stopped(container, volumes=volumes, now=now):
                _check_running(container, force=force)
                with contextlib.suppress(Conflict):
                    await self._stopping.kill(container, "SIGKILL")
        except BaseException:
            container.claim = None
            raise

    async def _remove_stopped(self, container: Container, *, volumes: bool, now: bool) -> bool:
        """Remove it unless it runs, be it by a start that was under way; whether it was removed."""
        async with self._registry.locked(container):
            if not container.running:
                await self._connectivity.release(container)  # what could not be when it ended
                await self.drop(container, volumes=volumes, now=now)
            return not container.running

    async def drop(self, container: Container, *, volumes: bool = True, now: bool = False) -> None:
        """Remove a container that does not run. Under its lock. Raises Internal when the row cannot be deleted."""
        container.claim = "removal"
        keeps = self._trash.enabled and not now and self._may_come_back(container)
        try:
            if keeps:
                await self._move_to_trash(container, volumes=volumes)
            else:
                await self._trash.making_room(lambda: self._registry.remove(container))
        except CoveError:
            container.claim = None
            raise
        container.drop_waiting()
        container.end(container.record.state.exit_code)  # no other will come
        for image in (container.record.image, *container.record.mounted_images):
            await self._images.released(image)
        if volumes:
            await self._remove_anonymous_volumes(container)
        self._announcements.publish(container, "destroy")
        if not container.removed.done():
            container.removed.set_result(container.record.state.exit_code)
        self._deletions.begin(self._delete(container))

    def _may_come_back(self, container: Container) -> bool:
        """One that its user has asked to be removed at its end is not missed, unless the daemon is told otherwise."""
        return self._keeps_auto_removed or not container.record.host_config.auto_remove

    async def _move_to_trash(self, container: Container, *, volumes: bool) -> None:
        names = self._own_volumes(container) if volumes else []
        async with self._volumes.withdrawing(names) as (taken, change):
            directories = [self._volumes.directory(volume.name) for volume in taken]
            entry = removed.entry(container, taken, directories, self._learned.of(container.id))
            changes = (self._trash.adding(entry), change)
            await self._trash.making_room(lambda: self._registry.remove(container, *changes))
            self._trash.added(entry)
        for volume in taken:
            self._announcements.volume_removed(volume.name, volume.driver)

    def _own_volumes(self, container: Container) -> list[str]:
        """Its anonymous volumes that no other container has."""
        return [
            mount.name
            for mount in container.record.mounts
            if mount.kind == "volume" and mount.anonymous and self._registry.volume_users(mount.name) == [container]
        ]

    async def _gone(self, entry: Entry) -> None:
        """An image that was only kept for what was in the trash goes too."""
        if entry.image:
            await self._images.released(entry.image)

    async def close(self) -> None:
        """Finish what is being deleted."""
        await self._deletions.finish()

    async def _delete(self, container: Container) -> None:
        """Delete what there is still of a container whose row is gone: on disk, and of its control group.

        Its end removes that, but a shim that is killed during a start is seen to be gone before its child has heard of
        it, which may make the group once more.
        """
        await self._stopping.collect_cgroup(container)
        self._bundles.discard(container)
        self._roots.forget(container)
        await asyncio.to_thread(shutil.rmtree, container.paths.data, ignore_errors=True)

    async def _remove_anonymous_volumes(self, container: Container) -> None:
        for mount in container.record.mounts:
            if mount.kind != "volume" or not mount.anonymous or not self._volumes.has(mount.name):
                continue
            if not self._registry.volume_users(mount.name):
                with contextlib.suppress(CoveError):
                    await self._volumes.remove(mount.name)
                    self._announcements.volume_removed(mount.name, mount.driver)


def _check_running(container: Container, *, force: bool) -> None:
    what = container.status
    if what in ("running", "paused", "restarting") and not force:
        unpause = "unpause and then " if what == "paused" else ""
        advice = f"{unpause}stop the container before removing or force remove"
        raise Conflict(f'cannot remove container "{container.id}": container is {what}: {advice}')
