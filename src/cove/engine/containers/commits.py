"""``docker commit``: a container's changes as the uppermost layer of a new image."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from cove.engine import signals
from cove.engine.containers import creation
from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.events.announcements import Announcements
from cove.engine.images.images import attributes, reference_of
from cove.engine.lifecycle.stopping import Stopping
from cove.engine.mounting.root_sizes import RootSizes
from cove.errors import Conflict, InvalidArgument
from cove.images import Image, Images
from cove.images.changes import apply as apply_changes
from cove.images.inventory import now
from cove.layers import Worker
from cove.layers.worker.jobs import PackLayer, PackLayerDone
from cove.layers.worker.staging import written
from cove.oci import image as oci
from cove.reference import Reference
from cove.wire.config import Config, HealthConfig
from cove.wire.containers import CommitOptions, ContainerCreate


class Commits:
    """Makes images of containers."""

    def __init__(
        self,
        registry: Registry,
        stopping: Stopping,
        announcements: Announcements,
        images: Images,
        worker: Worker,
        roots: RootSizes,
    ) -> None:
        self._registry = registry
        self._stopping = stopping
        self._announcements = announcements
        self._images = images
        self._worker = worker
        self._roots = roots

    async def commit(self, options: CommitOptions) -> str:
        """The new image's id. Raises InvalidArgument naming a bad change or name, before anything is done."""
        if not options.container:
            raise InvalidArgument("invalid container name or ID: value is empty")
        container = self._registry.get(options.container)
        reference = _reference(options)
        config = image_config(container.record.config, options)
        base = self._images.get(container.record.image)
        file = self._images.blobs.temporary()
        try:
            with self._images.hold(base.id):
                done = await self._packed(container, file, options.pause)
                layer = oci.Descriptor(oci.LAYER, done.diff_id, done.size)
                whole = _configuration(base, config, layer, container, options)
                references = [reference] if reference else []
                image = await self._images.derive(whole, [*base.layers, layer], file, references)
        finally:
            await asyncio.to_thread(file.unlink, missing_ok=True)
        shown = {"imageRef": reference.familiar} if reference else {}
        if reference:
            self._announcements.tagged(image.id, attributes(image, reference.familiar))
        self._announcements.publish(container, "commit", {"comment": options.comment, "imageID": image.id, **shown})
        return image.id

    async def _packed(self, container: Container, file: Path, pause: bool) -> PackLayerDone:
        async with self._still(container, pause), self._roots.attached(container, f"{container.id}-commit") as staged:
            job = PackLayer(str(container.paths.upper), str(file), written(staged))
            return await self._worker.run(job, PackLayerDone)

    @contextlib.asynccontextmanager
    async def _still(self, container: Container, pause: bool) -> AsyncIterator[None]:
        """While nothing changes in the container: a running one is paused, another one is not started."""
        async with contextlib.AsyncExitStack() as lock:
            await lock.enter_async_context(self._registry.locked(container))
            if not container.running:
                yield
                return
        paused = pause and container.status == "running"
        if paused:
            await self._stopping.pause(container, held=True)
        try:
            yield
        finally:
            if paused:
                with contextlib.suppress(Conflict):  # it was ended or continued meanwhile
                    await asyncio.shield(self._stopping.unpause(container))


def _reference(options: CommitOptions) -> Reference | None:
    reference = reference_of(options.repo, options.tag)
    if reference is not None and reference.digest:
        raise InvalidArgument("refusing to create a tag with a digest reference")
    return reference.with_default_tag() if reference else None


def image_config(container: Config, options: CommitOptions) -> oci.Config:
    """The request's configuration, else the container's, with the changes, over the container's: Docker's rules. Pure.

    So a relative WORKDIR is below the container's own, and a variable that ENV sets anew keeps its place.
    """
    changed = _wire(apply_changes(_oci(options.config or container), options.changes))
    if changed.stop_signal:
        signals.number(changed.stop_signal)
    request = ContainerCreate(**{name: getattr(changed, name) for name in Config.__struct_fields__})
    return _oci(creation.merged_config(request, _oci(container)))


def _oci(config: Config) -> oci.Config:
    """What an image has of a configuration; the container's own names are not part of it."""
    fields = {name: getattr(config, name) for name in oci.Config.__struct_fields__}
    health = config.healthcheck
    fields["healthcheck"] = (
        oci.Healthcheck(**{name: getattr(health, name) for name in oci.Healthcheck.__struct_fields__})
        if health
        else None
    )
    return oci.Config(**{**fields, "hostname": "", "domainname": ""})


def _wire(config: oci.Config) -> Config:
    fields = {name: getattr(config, name) for name in oci.Config.__struct_fields__}
    health = config.healthcheck
    fields["healthcheck"] = (
        HealthConfig(**{name: getattr(health, name) for name in oci.Healthcheck.__struct_fields__}) if health else None
    )
    return Config(**fields)


def _configuration(
    base: Image, config: oci.Config, layer: oci.Descriptor, container: Container, options: CommitOptions
) -> oci.ImageConfig:
    created = now()
    step = oci.History(
        created=created,
        created_by=" ".join(container.record.config.cmd or []),
        author=options.author,
        comment=options.comment,
    )
    return msgspec.structs.replace(
        base.config,
        config=config,
        rootfs=oci.RootFS(diff_ids=[*base.config.rootfs.diff_ids, layer.digest]),
        history=[*(base.config.history or []), step],
        created=created,
        author=options.author,
        comment=options.comment,
    )
