"""What makes images appear and go: rows, blobs and layers changed together, in an order that survives a crash.

In: blobs, then layers, then the image's row with its names. Out: the image's row with its names, then layers, then
blobs. So a row never misses what it stands on; what no row stands on any more is collected here and at start-up.
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from cove.content import Blobs
from cove.errors import CoveError, NotFound
from cove.images import departures
from cove.images.catalog import Catalog, canonical
from cove.images.leases import Lease, Leases
from cove.images.records import IMAGES, NAMES, TARGETS, Image, ImageName
from cove.images.targets import Build, Target, survey
from cove.layers import Layers, Worker
from cove.layers.storage_driver import StorageDriver
from cove.oci import image as oci
from cove.reference import Reference
from cove.store import Database, undivided

log = logging.getLogger(__name__)


IN_TRASH = "trash"
JSON_LIMIT = 16 << 20
"""Bytes of the largest manifest, index or configuration."""
_USES = (
    "SELECT 'containers' FROM containers WHERE image = ? "
    "UNION ALL SELECT 'containers' FROM image_mounts WHERE image = ? "
    f"UNION ALL SELECT '{IN_TRASH}' FROM trash WHERE image = ? LIMIT 1"
)


class Inventory:
    """Use from one event loop. ``catalog`` is what is there; only this class changes it."""

    def __init__(self, database: Database, data_root: Path, worker: Worker, driver: StorageDriver) -> None:
        self.blobs = Blobs(database, data_root)
        self.layers = Layers(database, data_root, worker, driver)
        self.catalog = Catalog()
        self._database = database
        self._changing = asyncio.Lock()
        self.leases = Leases()
        self._holds: Counter[str] = Counter()
        self._collecting: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read the rows; collect in the background what a stopped daemon left half-made."""
        load = self._database.load
        self.catalog = Catalog(load(IMAGES.select), load(NAMES.select), load(TARGETS.select))
        self.blobs.open()
        garbage = self.layers.open()
        await self._make_targets()
        await self._supersede()
        for image in list(self.catalog.images.values()):
            if image.hidden:
                await self.released(image.id)
        await self.collect()
        if garbage:
            self._collecting = asyncio.ensure_future(self._discard(garbage))

    async def close(self) -> None:
        """Stop what is under way."""
        if self._collecting is not None:
            self._collecting.cancel()
            await asyncio.wait([self._collecting])

    @contextmanager
    def hold(self, image_id: str) -> Iterator[None]:
        """While held, an image counts as used by a container."""
        self._holds[image_id] += 1
        try:
            yield
        finally:
            self._holds[image_id] -= 1

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Lease]:
        """What is kept by it stays; at the end what nothing else stands on is removed."""
        lease = self.leases.begin()
        try:
            yield lease
        finally:
            kept = lease.kept
            lease.end()
            await asyncio.shield(self.collect(kept))

    async def admit(
        self,
        images: Sequence[Image],
        references: Iterable[Reference],
        descriptor: oci.Descriptor,
        repositories: Collection[str] = (),
        build: Build | None = None,
    ) -> list[Image]:
        """Make images visible, under these names too; blobs and layers are here. Names of others are moved.

        ``descriptor``: of the target that names point at, which all the images are parts of. ``repositories``: where in
        registries that is. ``build``: what made it. Raises InvalidArgument.
        """
        names = [str(canonical(reference)) for reference in references]
        async with self._changing:
            shown = [self._shown(image, now() if names else "") for image in images]
            added = {image.id: image for image in shown}
            target = await asyncio.to_thread(survey, descriptor, self._read, lambda found: self._is_here(added, found))
            await self._point(names, self._located(target, repositories, build), shown)
        return shown

    async def name(self, target: Target, reference: Reference) -> None:
        """Have a name point at a target that is here. Raises NotFound when its image is gone meanwhile."""
        async with self._changing:
            current = self.catalog.targets.get(target.digest)
            if current is None:
                raise NotFound(f"No such image: {target.image}")
            image = msgspec.structs.replace(self.catalog.get(current.image), tagged=now())
            await self._point([str(reference)], current, [image])

    async def succeed(self, reference: Reference, before: Target, descriptor: oci.Descriptor) -> Target:
        """The target of a descriptor, of the same images as ``before``, whose blobs are here; a name that still points
        at that points at this from now on, else nothing stands on it. Raises InvalidArgument.
        """
        name, images = str(canonical(reference)), set(before.images)

        def is_here(manifest: oci.Manifest) -> bool:
            return manifest.config.digest in images and self._has_layers(manifest)

        async with self._changing:
            target = await asyncio.to_thread(survey, descriptor, self._read, is_here)
            current = self.catalog.targets.get(self._pointed(name))
            if current is not None and current.digest == before.digest and current.images == before.images:
                target = self._located(target, (), before.build)
                await self._point([name], target, [])
        return target

    async def locate(self, digest: str, repositories: Collection[str], references: Iterable[Reference] = ()) -> None:
        """Note that a target is in these repositories of registries, and give it these names. Raises NotFound."""
        async with self._changing:
            target = self.catalog.targets.get(digest)
            if target is None:
                raise NotFound(f"No such image: {digest}")
            names, located = [str(reference) for reference in references], self._located(target, repositories)
            if located != target or any(self._pointed(name) != digest for name in names):
                await self._point(names, located, [])

    @undivided
    async def untag(self, references: Iterable[Reference]) -> None:
        """Remove names; the images stay."""
        async with self._changing:
            gone = [str(reference) for reference in references]

            def change(connection: sqlite3.Connection) -> None:
                for reference in gone:
                    NAMES.delete(connection, reference=reference)

            await self._database.run(change)
            for reference in gone:
                self.catalog.names.pop(reference, None)
            await self._supersede()

    async def drop(self, image_id: str) -> list[str]:
        """Remove an image, its names, and with it the platforms that are with it alone.

        The chain ids of the layers that went, uppermost first. An image that a container uses, be it one in the trash,
        is only hidden: its layers stay until ``released``.
        """
        async with self._changing:
            return await self._depart(departures.of_image(self.catalog, self.catalog.get(image_id).id))

    async def drop_platform(self, digest: str, image_id: str) -> list[str]:
        """Remove one of several images of a target, as ``drop`` does. Raises NotFound."""
        async with self._changing:
            target = self.catalog.targets.get(digest)
            if target is None or target.part_of(image_id) is None:
                raise NotFound(f"No such image: {image_id}")
            return await self._depart(departures.of_platform(self.catalog, target, image_id))

    async def released(self, image_id: str) -> None:
        """Drop an image that was only hidden, unless it is still used."""
        image = self.catalog.images.get(image_id)
        if image is not None and image.hidden:
            await self.drop(image_id)

    async def _discard(self, garbage: list[Path]) -> None:
        try:
            await self.layers.discard(garbage)
        except CoveError as error:  # the next start tries again
            log.warning("images: cannot remove what an earlier run left: %s", error.message)

    def _for_show(self, gone: Image) -> list[str]:
        """The layers of an image that only the trash needs, which to a client are gone: those that no other shows."""
        others = {chain for image in self.catalog.images.values() if not image.hidden for chain in image.chain_ids}
        return [chain for chain in gone.chain_ids[::-1] if chain not in others]

    @undivided
    async def _depart(self, going: departures.Departure) -> list[str]:
        hidden = [msgspec.structs.replace(self.catalog.get(gone), hidden=True) for gone in going.images]
        self.catalog.images.update((image.id, image) for image in hidden)
        bests = {target.digest: target.image for target in going.changed}
        names = {
            reference: msgspec.structs.replace(name, image=bests.get(name.target, name.image))
            for reference, name in self.catalog.names.items()
            if name.target not in going.targets
        }
        kept = await self._database.run(lambda connection: self._delete(connection, hidden, going, names))
        self.catalog.names = names
        self.catalog.targets.update((target.digest, target) for target in going.changed)
        unused = self._forget(going.targets)
        shown = [chain for image in hidden if kept.get(image.id) == IN_TRASH for chain in self._for_show(image)]
        for image in hidden:
            if image.id not in kept:
                del self.catalog.images[image.id]
                unused += [*image.chain_ids, *image.blobs]
        return shown + await self.collect(unused)

    def _delete(
        self,
        connection: sqlite3.Connection,
        hidden: list[Image],
        going: departures.Departure,
        names: Mapping[str, ImageName],
    ) -> dict[str, str]:
        """Delete the rows, or hide images; where what uses those is, by their ids. On the database's thread.

        ``names``: what is left of them.
        """
        for reference, name in self.catalog.names.items():
            if reference not in names:
                NAMES.delete(connection, reference=reference)
            elif names[reference] != name:
                NAMES.put(connection, names[reference])
        for digest in going.targets:
            TARGETS.delete(connection, digest=digest)
        for target in going.changed:
            TARGETS.put(connection, target)
        kept = {}
        for image in hidden:
            used = connection.execute(_USES, (image.id,) * 3).fetchone()
            if used or self._holds[image.id] > 0:
                IMAGES.put(connection, image)
                kept[image.id] = used[0] if used else "held"
            else:
                IMAGES.delete(connection, id=image.id)
        return kept

    def _shown(self, image: Image, tagged: str) -> Image:
        known = self.catalog.images.get(image.id)
        tagged = tagged or (known.tagged if known else "")
        return msgspec.structs.replace(known or image, tagged=tagged, hidden=False)

    def _pointed(self, name: str) -> str:
        """The digest of what a name points at; empty when there is no such name."""
        found = self.catalog.names.get(name)
        return found.target if found else ""

    def _unnamed_before(self, name: str, target: Target) -> bool:
        """Whether the image is here without a name, or was before those that it has came."""
        image, had = self.catalog.images.get(target.image), self.catalog.names.get(name)
        if had is not None and had.target == target.digest:
            return had.unnamed_before
        others = [other for other in self.catalog.names.values() if other.image == target.image]
        return image is not None and not image.hidden and all(other.unnamed_before for other in others)

    @undivided
    async def _point(self, names: Iterable[str], target: Target, images: Sequence[Image]) -> None:
        """Write images, a target that they are in, and names of it, all or none. ``_changing`` is held."""
        before = {name: self._unnamed_before(name, target) for name in names}
        moved = {name: ImageName(name, target.image, target.digest, before[name]) for name in names}
        moved |= {
            name.reference: msgspec.structs.replace(name, image=target.image)
            for name in self.catalog.names.values()
            if name.target == target.digest and name.image != target.image
        }

        def change(connection: sqlite3.Connection) -> None:
            for image in images:
                IMAGES.put(connection, image)
            TARGETS.put(connection, target)
            for name in moved.values():
                NAMES.put(connection, name)

        await self._database.run(change)
        self.catalog.images.update((image.id, image) for image in images)
        self.catalog.names.update(moved)
        self.catalog.targets[target.digest] = target
        await self._supersede()

    async def _supersede(self) -> None:
        """Remove what lost its last name to something that shows the same."""
        going = departures.superseded(self.catalog)
        if going.targets:
            await self._depart(going)

    def _forget(self, digests: Iterable[str]) -> list[str]:
        """Take targets out of the catalog; the blobs that they stood on."""
        gone = [self.catalog.targets.pop(digest) for digest in digests]
        return [blob for target in gone for blob in target.blobs]

    def _located(self, target: Target, repositories: Collection[str], build: Build | None = None) -> Target:
        known = self.catalog.targets.get(target.digest)
        where = dict.fromkeys([*(known.repositories if known else ()), *repositories])
        build = (known.build if known else None) or target.build or build
        return msgspec.structs.replace(target, repositories=list(where), build=build)

    def _read(self, digest: str) -> bytes | None:
        blob = self.blobs.get(digest)
        return self.blobs.path(digest).read_bytes() if blob and blob.size <= JSON_LIMIT else None

    def _is_here(self, added: Mapping[str, Image], manifest: oci.Manifest) -> bool:
        config = manifest.config.digest
        image = added.get(config) or self.catalog.images.get(config)
        if image is None or image.hidden:
            return False
        return self._has_layers(manifest)

    def _has_layers(self, manifest: oci.Manifest) -> bool:
        return all(self.blobs.known(layer.digest) for layer in manifest.layers)

    async def _make_targets(self) -> None:
        """Give each image without a target, as older versions left them, its manifest for one."""
        known = {image for target in self.catalog.targets.values() for image in target.images}
        for image in self.catalog.visible():
            if image.id not in known:
                blob = self.blobs.get(image.manifest)
                descriptor = oci.Descriptor(image.manifest_type, image.manifest, blob.size if blob else 0)
                names = [name.reference for name in self.catalog.names.values() if name.image == image.id]
                await self._point(names, survey(descriptor, self._read, lambda found: True), [])

    async def collect(self, candidates: Collection[str] | None = None) -> list[str]:
        """Remove the layers and blobs among these, or of all, that nothing stands on and no lease keeps.

        Candidates are chain ids and digests. The chain ids of the layers that went, uppermost first.
        """
        used = self._used()
        layers = [
            layer.chain_id
            for layer in self.layers.uppermost_first()
            if layer.chain_id not in used and (candidates is None or layer.chain_id in candidates)
        ]
        await self.layers.remove(layers)
        used = self._used()  # others worked while that was written
        found = candidates if candidates is not None else [blob.digest for blob in self.blobs.all()]
        await self.blobs.remove([digest for digest in found if digest not in used])
        return layers

    def _used(self) -> set[str]:
        used = self.leases.kept()
        for image in self.catalog.images.values():
            used.update(image.chain_ids, image.blobs)
        for target in self.catalog.targets.values():
            used.update(target.blobs)
        for layer in self.layers.uppermost_first():  # a layer stands on all below it
            if layer.chain_id in used and layer.parent is not None:
                used.add(layer.parent)
        return used


def now() -> str:
    """The time as Docker writes it: RFC 3339 in UTC."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
