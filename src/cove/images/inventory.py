"""What makes images appear and go: rows, blobs and layers changed together, in an order that survives a crash.

In: blobs, then layers, then the image's row with its names. Out: the image's row with its names, then layers, then
blobs. So a row never misses what it stands on; what no row stands on any more is collected here and at start-up.
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from cove.content import Blobs
from cove.errors import CoveError
from cove.images.catalog import Catalog
from cove.images.records import IMAGES, NAMES, Image, ImageName
from cove.layers import Layers, Worker
from cove.layers.storage_driver import StorageDriver
from cove.reference import Reference
from cove.store import Database

log = logging.getLogger(__name__)


IN_TRASH = "trash"
_USES = (
    "SELECT 'containers' FROM containers WHERE image = ? "
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
        self._holds: Counter[str] = Counter()
        self._pins: Counter[str] = Counter()
        self._collecting: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read the rows; collect in the background what a stopped daemon left half-made."""
        images = self._database.load(IMAGES.select)
        self.catalog = Catalog(images, self._database.load(NAMES.select))
        self.blobs.open()
        garbage = self.layers.open()
        for image in images:
            if image.hidden:
                await self.released(image.id)
        await self._collect(
            [layer.chain_id for layer in self.layers.uppermost_first()], [blob.digest for blob in self.blobs.all()]
        )
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
    async def adding(self, chain_ids: list[str], digests: list[str]) -> AsyncIterator[None]:
        """While layers and blobs are being added that no image stands on yet; when that fails they are removed."""
        pinned = [*chain_ids, *digests]
        self._pins.update(pinned)
        try:
            yield
        except BaseException:
            self._pins.subtract(pinned)
            await asyncio.shield(self._collect(chain_ids[::-1], digests))
            raise
        self._pins.subtract(pinned)

    async def admit(self, image: Image, references: Iterable[Reference]) -> Image:
        """Make an image visible, under these names too; its blobs and layers are here. Names of others are moved."""
        names = [ImageName(str(reference), image.id) for reference in references]
        async with self._changing:
            known = self.catalog.images.get(image.id)
            tagged = now() if names else (known.tagged if known else "")
            image = msgspec.structs.replace(known or image, tagged=tagged, hidden=False)

            def change(connection: sqlite3.Connection) -> None:
                IMAGES.put(connection, image)
                for name in names:
                    NAMES.put(connection, name)

            await self._database.run(change)
            self.catalog.images[image.id] = image
            self.catalog.names.update((name.reference, name.image) for name in names)
        return image

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

    async def drop(self, image_id: str) -> list[str]:
        """Remove an image and its names; the chain ids of the layers that went with it, uppermost first.

        An image that a container uses, be it one in the trash, is only hidden: its layers stay until ``released``.
        """
        async with self._changing:
            hidden = msgspec.structs.replace(self.catalog.get(image_id), hidden=True)
            self.catalog.images[image_id] = hidden
            kept = await self._database.run(lambda connection: self._delete(connection, hidden))
            for name in [name for name, image in self.catalog.names.items() if image == image_id]:
                del self.catalog.names[name]
            if kept:
                return self._for_show(hidden) if kept == IN_TRASH else []
            del self.catalog.images[image_id]
            return await self._collect(hidden.chain_ids[::-1], hidden.blobs)

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

    def _delete(self, connection: sqlite3.Connection, hidden: Image) -> str:
        """Delete the rows, or hide the image and say where what uses it is. On the database's thread."""
        NAMES.delete(connection, image=hidden.id)
        used = connection.execute(_USES, (hidden.id, hidden.id)).fetchone()
        if used or self._holds[hidden.id] > 0:
            IMAGES.put(connection, hidden)
            return used[0] if used else "held"
        IMAGES.delete(connection, id=hidden.id)
        return ""

    async def _collect(self, chain_ids: Iterable[str], digests: Iterable[str]) -> list[str]:
        """Remove those layers (given uppermost first) and blobs that nothing stands on; the layers that went."""
        used = {name for name, count in self._pins.items() if count > 0}
        for image in self.catalog.images.values():
            used.update(image.chain_ids, image.blobs)
        layers = [chain_id for chain_id in chain_ids if chain_id not in used and self.layers.get(chain_id)]
        blobs = [digest for digest in digests if digest not in used]
        await self.layers.remove(layers)
        await self.blobs.remove(blobs)
        return layers


def now() -> str:
    """The time as Docker writes it: RFC 3339 in UTC."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
