"""The image service: what the engine calls.

Look-ups are answered from memory, at once; what changes something is a coroutine, done when it is on disk.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace
from pathlib import Path

import msgspec

from cove.content import Blob, Blobs
from cove.digest import Digest
from cove.errors import InvalidArgument
from cove.filters import Filters
from cove.images import archive_out, imports, listing, loading, making, removal, verification
from cove.images.arrivals import Arrivals
from cove.images.changes import apply as apply_changes
from cove.images.inventory import Inventory
from cove.images.leases import Keeper, Lease
from cove.images.records import HistoryItem, Image, Listed, Loaded, LoadProgress, Pruned, Untagged
from cove.images.removal import InUse, Removed
from cove.images.targets import Build, Target
from cove.images.verification import Report
from cove.layers import Layers, Worker
from cove.layers.storage_driver import StorageDriver
from cove.oci.image import Config, Descriptor, ImageConfig
from cove.platform import Platform, host
from cove.reference import Reference
from cove.store import Database


class Images:
    """The images of one data root. ``await open()`` first, ``await close()`` at the end; one event loop."""

    def __init__(self, database: Database, data_root: Path, worker: Worker, driver: StorageDriver = "overlay2") -> None:
        """``worker`` is the caller's to close. ``driver``: what new layers become."""
        self._inventory = Inventory(database, data_root, worker, driver)
        self._arrivals = Arrivals(self._inventory.blobs, self._inventory.layers)
        self._worker = worker
        self._data_root = data_root

    @property
    def blobs(self) -> Blobs:
        """The blobs that images are made of."""
        return self._inventory.blobs

    @property
    def layers(self) -> Layers:
        """The unpacked layers that images are made of."""
        return self._inventory.layers

    @property
    def arrivals(self) -> Arrivals:
        """Layers that stream in from registries; hold a ``lease`` that keeps them."""
        return self._arrivals

    async def open(self) -> None:
        """Read the rows and collect what a stopped daemon left half-made. Before any ``database.run``."""
        loading.collect(self._data_root)
        await self._inventory.open()

    async def close(self) -> None:
        """Stop what is under way."""
        await self._inventory.close()

    def resolve(self, name: str, platform: Platform | None = None) -> Image:
        """The image for an id, a unique prefix of one, ``repo``, ``repo:tag`` or ``repo@digest``.

        Of several platforms the one that serves ``platform`` best, without that the best for this machine.
        Raises NotFound (``No such image: x:latest``) and InvalidArgument, in Docker's words.
        """
        return self._inventory.catalog.resolve(name, platform)

    def target(self, name: str) -> Target:
        """What a name or id points at: a manifest, or an index with its platforms. Raises as ``resolve`` does."""
        return self._inventory.catalog.target(name)

    def targets(self, image_id: str) -> list[Target]:
        """The targets that an image is a part of, the one that its name points at first."""
        return self._inventory.catalog.targets_of(image_id)

    def get(self, image_id: str) -> Image:
        """The image of a full id, hidden ones too. Raises NotFound."""
        return self._inventory.catalog.get(image_id)

    def references(self, image_id: str) -> list[Reference]:
        """The names of an image, those with a tag before those with a digest."""
        return self._inventory.catalog.references(image_id)

    def select(self, filters: Filters | None = None) -> list[Listed]:
        """Images that pass every filter, newest first, each with the names that pass (all, without ``reference``).

        Filters: dangling, label, before, since, reference, until. Raises InvalidArgument naming a bad one.
        """
        return listing.select(self._inventory.catalog, filters or Filters())

    def best_targets(self) -> dict[str, Target]:
        """By the id of each image that is listed: what its name points at."""
        return self._inventory.catalog.best_targets()

    def shared_sizes(self) -> dict[str, int]:
        """By image id: the bytes of its layers that another visible image has too."""
        return listing.shared_sizes(self._inventory.catalog)

    def history(self, image: Image) -> list[HistoryItem]:
        """How the image was made, newest step first."""
        return listing.history(self._inventory.catalog, image)

    async def lower_directories(self, image_id: str) -> list[Path]:
        """The unpacked layers, uppermost first: the ``lowerdir`` of a container; empty for an image without layers.

        Of hidden images too. Raises NotFound.
        """
        image = self._inventory.catalog.get(image_id)
        return [self._inventory.layers.path(chain_id) for chain_id in reversed(image.chain_ids)]

    def hold(self, image_id: str) -> AbstractContextManager[None]:
        """While held, the image's layers stay on disk, also before the container's row is written.

        Enter it in the same turn of the event loop as the ``resolve`` that gave the id.
        """
        return self._inventory.hold(image_id)

    async def released(self, image_id: str) -> None:
        """To be called when a container of this image is gone: collects the image if it was only kept for it."""
        await self._inventory.released(image_id)

    def lease(self) -> AbstractAsyncContextManager[Lease]:
        """For work on blobs and layers that no image stands on yet, such as a pull: what the lease keeps stays here.

        ``async with images.lease() as lease: lease.keep(digest, chain_id, …)``, in the same turn of the event loop as
        the look whether it is here already. At the end what nothing stands on is removed.
        """
        return self._inventory.lease()

    def ask(self, keeper: Keeper) -> None:
        """Leave alone whatever blobs and layers ``keeper`` names, whenever garbage is collected; before ``open``."""
        self._inventory.leases.ask(keeper)

    async def collect(self, candidates: Collection[str] | None = None) -> list[str]:
        """Remove blobs and layers (of these digests and chain ids, or all) that nothing needs; the layers that went."""
        return await self._inventory.collect(candidates)

    async def verify(
        self, names: Sequence[str], *, repair: bool = False, progress: Callable[[int], None] = lambda read: None
    ) -> Report:
        """Read all blobs and layers of these images, or of all, and compare them with their digests.

        What is damaged or missing counts as missing from now on, so that a pull or load brings it again. ``repair``:
        damaged layers are made again of their blobs. ``progress`` is told bytes. Raises NotFound, InvalidArgument.
        """
        return await verification.verify(self._inventory, self._worker, names, repair, progress)

    async def tag(self, name: str, reference: Reference) -> Image:
        """Name the image, all its platforms; a name that another has is moved. The image.

        Raises InvalidArgument for a digest reference, NotFound.
        """
        if reference.digest:
            raise InvalidArgument("refusing to create a tag with a digest reference")
        target = self._inventory.catalog.target(name)
        await self._inventory.name(target, reference.with_default_tag())
        return self._inventory.catalog.get(target.image)

    def tags(self, repository: str) -> list[Reference]:
        """The names with a tag that images have in a repository (its canonical name), sorted."""
        named = (Reference.parse(name) for name in sorted(self._inventory.catalog.names))
        return [reference for reference in named if reference.repository == repository and reference.tag]

    async def pushed(self, digest: str, reference: Reference) -> None:
        """Note that the target of this digest is in the repository of ``reference`` now. Raises NotFound."""
        named = replace(reference, tag="", digest=digest)
        await self._inventory.locate(digest, [reference.repository], [named])

    async def succeed(self, reference: Reference, before: Target, descriptor: Descriptor) -> Target:
        """The target of a descriptor: the images of ``before`` by other manifests, all in ``blobs`` and leased.

        The name points at it from now on if it still points at ``before`` with these images. Raises InvalidArgument.
        """
        return await self._inventory.succeed(reference, before, descriptor)

    async def remove(
        self,
        name: str,
        *,
        force: bool = False,
        prune: bool = True,
        platforms: Sequence[Platform] = (),
        in_use: InUse,
    ) -> Removed:
        """Remove a name, or the image, by Docker's rules, or these ``platforms`` only; what went, in Docker's order.

        ``prune`` is about untagged parents, which images here do not have. Raises Conflict in Docker's words, NotFound.
        """
        if platforms:
            return await removal.remove_platforms(self._inventory, name, platforms, force, in_use)
        return await removal.remove(self._inventory, name, force, in_use)

    async def end(self, reference: Reference, in_use: InUse) -> Removed:
        """Remove a name, and the image with its last one, unless that was there before, known by its id alone.

        What went, as ``remove`` tells it. Raises Conflict, NotFound.
        """
        name = self._inventory.catalog.names.get(str(reference))
        if name is not None and name.unnamed_before:
            await self._inventory.untag([reference])
            return [Untagged(reference.familiar)]
        return await removal.remove(self._inventory, str(reference), True, in_use)

    async def prune(self, filters: Filters, in_use: InUse) -> Pruned:
        """Remove unused images: those without a name, or with ``dangling=false`` all that no container uses.

        Filters: dangling, until, label, label!. Raises InvalidArgument naming a bad one.
        """
        return await removal.prune(self._inventory, filters, in_use)

    def load(
        self, chunks: AsyncIterator[bytes], platforms: Sequence[Platform] = ()
    ) -> AsyncIterator[LoadProgress | Loaded]:
        """Take in a ``docker save`` or OCI archive, compressed or not. Close the iterator to give up.

        Of indexes those ``platforms``, or all that are in the archive. Each image is visible once its ``Loaded`` comes;
        raises InvalidArgument for what is no such archive or does not match its digests.
        """
        return loading.load(self._inventory, self._worker, self._data_root, chunks, platforms)

    def save(
        self, names: Iterable[str], platforms: Sequence[Platform] = (), called: Sequence[Reference] = ()
    ) -> AsyncIterator[bytes]:
        """A tar with these images that is an OCI layout and has Docker's ``manifest.json``.

        With these ``platforms`` of each, or with everything of it that is here. ``called``: what they are called in it,
        if not by their names here. Raises NotFound at once.
        """
        chosen = archive_out.choose(self._inventory.catalog, names, platforms)
        if called:
            chosen = [replace(each, references=list(called)) for each in chosen]
        return archive_out.write(self._inventory, chosen)

    async def import_(
        self,
        chunks: AsyncIterator[bytes],
        *,
        reference: Reference | None = None,
        message: str = "",
        changes: Sequence[str] = (),
        platform: Platform | None = None,
        source: str = "-",
        created: str = "",
        progress: Callable[[int], None] = lambda read: None,
    ) -> Image:
        """Make an image of one layer from a tar, compressed or not. ``changes``: Dockerfile lines (CMD, ENV, …).

        ``created``: RFC 3339, now when empty. ``progress`` is told the bytes read. Raises InvalidArgument naming the
        bad change or tar entry.
        """
        if reference is not None and reference.digest:
            raise InvalidArgument("cannot import digest reference")
        request = imports.Request(
            config=apply_changes(Config(), changes),
            platform=platform or host(),
            message=message or f"Imported from {source}",
            reference=reference.with_default_tag() if reference else None,
            created=created,
        )
        return await imports.import_tar(self._inventory, chunks, request, progress)

    async def add(
        self,
        config: bytes,
        manifest: bytes,
        layers: Sequence[Descriptor],
        references: Sequence[Reference] = (),
        indexes: Sequence[bytes] = (),
        *,
        pulled: bool = False,
        build: Build | None = None,
        progress: Callable[[str, int], None] = lambda diff_id, read: None,
    ) -> Image:
        """Make an image of layer blobs that are in ``blobs`` already (a pull, a build): unpacks what is new, names it.

        ``indexes``: those that led to the manifest, outermost first; the names point at the outermost, or without one
        at the manifest. What they list and is in ``blobs`` is kept with them: attestations, further platforms. Call it
        again with the same indexes for each platform. ``pulled``: the target is in the repositories of the names, so
        that it is known as ``repo@digest`` as well. ``build``: what made it. ``progress`` is told a diff id and bytes
        read.

        Hold a ``lease`` from the first blob until this is done. Raises InvalidArgument, NotFound for a missing blob.
        """
        target = str(Digest.of(indexes[0] if indexes else manifest))
        repositories = list(dict.fromkeys(name.repository for name in references)) if pulled else []
        known_as = [replace(name, tag="", digest=target) for name in references] if pulled else []
        names = list(dict.fromkeys([*references, *known_as]))
        parts = making.Parts(config, manifest, layers, indexes)
        named = making.Named(names, repositories, build)
        return (await making.make(self._inventory, [parts], named, progress=progress))[0]

    async def derive(
        self, config: ImageConfig, layers: Sequence[Descriptor], file: Path, references: Sequence[Reference]
    ) -> Image:
        """Make an image of layers that are here already and, uppermost, of a file that is moved: a verified tar."""
        data = msgspec.json.encode(config)
        parts = making.Parts(data, making.write_manifest(data, layers), layers)
        files = [(file, Blob(layers[-1].digest, layers[-1].size))]
        return (await making.make(self._inventory, [parts], making.Named(references), files))[0]
