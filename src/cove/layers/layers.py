"""The unpacked layers of one data root: ``layers/<short name>``, and their rows.

A directory is filled first and gets its row when the file system has been synced; what has no row is garbage that
``open`` collects. Names are short so that a mount of 128 layers fits in one page of options.
"""

import asyncio
import os
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from cove.digest import Digest
from cove.errors import InvalidArgument, NotFound
from cove.kernel import filesystems, layer_images
from cove.layers.storage_driver import StorageDriver
from cove.layers.worker.client import Worker
from cove.layers.worker.jobs import Compress, CompressDone, Remove, RemoveDone, Unpack, UnpackDone
from cove.store import Database, Table, in_thread, undivided

NAME_BYTES = 4
GARBAGE_BATCH = 500


class Layer(msgspec.Struct, frozen=True, omit_defaults=True):
    """``chain_id`` names it; ``directory`` is its short name below ``layers/``; ``size``: unpacked bytes."""

    chain_id: str
    diff_id: str
    directory: str
    size: int
    parent: str | None = None


class Packed(msgspec.Struct, frozen=True):
    """A layer to be unpacked: ``path`` is a tar file, compressed or not; ``digest`` names it in messages."""

    diff_id: str
    path: Path
    digest: str


TABLE: Table[Layer] = Table(
    "layers",
    Layer,
    ("chain_id",),
    {
        "chain_id": lambda layer: layer.chain_id,
        "parent": lambda layer: layer.parent,
        "directory": lambda layer: layer.directory,
    },
)


class Layers:
    """What is in ``layers/``. Use from one event loop."""

    def __init__(self, database: Database, data_root: Path, worker: Worker, driver: StorageDriver = "overlay2") -> None:
        """``driver``: what new layers become."""
        self._database = database
        self._root = data_root / "layers"
        self._worker = worker
        self._present: dict[str, Layer] = {}
        self._suspects: set[str] = set()
        self._adding = asyncio.Lock()
        self._slots = asyncio.Semaphore(os.cpu_count() or 1)
        self.driver = driver
        self._suffix = layer_images.SUFFIX if driver == "erofs" else ""
        self.on_remove: Callable[[list[str]], None] = lambda layers: None
        """Told the directories of layers just before they are removed."""

    def open(self) -> list[Path]:
        """Read the rows. Returns directories that a stopped daemon left behind, for ``discard``. Only at start-up."""
        self._root.mkdir(parents=True, exist_ok=True)
        os.chmod(self._root, 0o700)
        self._present = {layer.chain_id: layer for layer in self._database.load(TABLE.select)}
        known = {layer.directory for layer in self._present.values()}
        return [entry for entry in self._root.iterdir() if entry.name not in known]

    def get(self, chain_id: str) -> Layer | None:
        """The layer of this chain id, or None when it is not unpacked here, or found damaged."""
        return None if chain_id in self._suspects else self._present.get(chain_id)

    def suspect(self, chain_ids: Iterable[str]) -> None:
        """Take these for missing from now on, so that whoever brings them replaces them."""
        self._suspects.update(chain_id for chain_id in chain_ids if chain_id in self._present)

    def uppermost_first(self) -> list[Layer]:
        """Every layer that is here, each before the one below it."""
        return sorted(self._present.values(), key=self._height, reverse=True)

    def total_size(self) -> int:
        """Unpacked bytes of all layers."""
        return sum(layer.size for layer in self._present.values())

    def _height(self, layer: Layer) -> int:
        height = 0
        while layer.parent is not None:
            layer = self._present[layer.parent]
            height += 1
        return height

    def path(self, chain_id: str) -> Path:
        """The directory of a layer. Raises NotFound."""
        layer = self._present.get(chain_id)
        if layer is None:
            raise NotFound(f"layer {chain_id} not found")
        return self._root / layer.directory

    def fresh(self, *, plain: bool = False) -> Path:
        """A new name for a directory to unpack into; give it to ``adopt`` or ``discard``. ``plain``: never an image."""
        return self._root / (secrets.token_hex(NAME_BYTES) + ("" if plain else self._suffix))

    async def receive(
        self, chunks: AsyncIterator[bytes], target: Path, plain: Path, progress: Callable[[int], None]
    ) -> UnpackDone:
        """Unpack a stream into ``target`` and keep it, decompressed, as the file ``plain``; neither is synced.

        Raises InvalidArgument naming the bad entry; then ``target`` is gone; ``plain`` is the caller's to remove.
        """
        job = Unpack(target=str(target), plain=str(plain))
        async with self.discarding([target]):
            return await self._worker.run_stream(job, UnpackDone, chunks, progress)

    async def receive_blob(
        self,
        chunks: AsyncIterator[bytes],
        target: Path | None,
        raw: Path,
        algorithm: str,
        progress: Callable[[int], None],
    ) -> UnpackDone:
        """Unpack a stream into ``target`` and keep it as it comes, and synced, as the file ``raw``; both are hashed,
        what is kept by ``algorithm``.

        Without a target it is only kept. Raises as ``receive`` does; ``raw`` is the caller's to remove.
        """
        job = Unpack(target=str(target or ""), raw=str(raw), hash_raw=algorithm)
        async with self.discarding([target] if target else []):
            return await self._worker.run_stream(job, UnpackDone, chunks, progress)

    async def compress(self, source: Path, target: Path, progress: Callable[[int], None]) -> CompressDone:
        """Write a tar to the new file ``target`` as gzip, always in the same way. ``progress`` is told bytes read."""
        async with self._slots:
            return await self._worker.run(Compress(str(source), str(target)), CompressDone, None, progress)

    async def unpack(self, packed: Packed, progress: Callable[[str, int], None], *, plain: bool = False) -> UnpackDone:
        """Unpack a file, for ``adopt``, or ``plain`` to a directory whatever the driver.

        Raises InvalidArgument when it is no valid tar or not what its diff id says.
        """
        target = self.fresh(plain=plain)
        async with self.discarding([target]):
            return await self._unpack(packed, target, progress)

    async def add(
        self, layers: Sequence[Packed], progress: Callable[[str, int], None] = lambda diff_id, read: None
    ) -> list[int]:
        """Unpack those that are not here yet, several at a time, and give them rows, all or none.

        ``layers``: of one image, lowest first. ``progress`` is told a diff id and the bytes read. Returns the unpacked
        size of each. Raises InvalidArgument when a layer is no valid tar or not what its diff id says.
        """
        async with self._adding:
            chain = _chain(layers)
            missing = {chain_id: packed for chain_id, packed in chain if self.get(chain_id) is None}
            made = {chain_id: self.fresh() for chain_id in missing}
            async with self.discarding(list(made.values())):
                done = await self._unpack_all(missing, made, progress)
                await self._settle(chain, done)
            return [self._present[chain_id].size for chain_id, _ in chain]

    @undivided
    async def adopt(self, done: UnpackDone, chain_id: str = "", parent: str | None = None) -> Layer:
        """Give what was unpacked its row; a second copy of a layer that is here is removed.

        Without a chain id it is a lowest layer. ``parent``: the chain id of the one below, which is here.
        """
        chain_id, target = chain_id or done.diff_id, Path(done.target)
        async with self._adding, self.discarding([target]):
            if self.get(chain_id) is not None:
                await self.discard([target])
            else:
                layer = Layer(chain_id, done.diff_id, target.name, done.size, parent)
                await self._insert([layer], [done])
            return self._present[chain_id]

    @undivided
    async def stack(self, done: UnpackDone, chain_id: str, parent: str | None) -> Layer:
        """Give a layer that a step of a build made its row, above ``parent``; a second copy is removed."""
        target = Path(done.target)
        async with self._adding:
            if chain_id in self._present:
                await self.discard([target])
                return self._present[chain_id]
            async with self.discarding([target]):
                await in_thread(self._sync_made, [done])
                layer = Layer(chain_id, done.diff_id, target.name, done.size, parent)
                await self._database.run(lambda connection: TABLE.insert(connection, layer))
            self._present[chain_id] = layer
            return layer

    @undivided
    async def remove(self, chain_ids: Iterable[str]) -> None:
        """Remove layers, uppermost first; those that are not here are passed over."""
        gone = [layer for chain_id in chain_ids if (layer := self._present.pop(chain_id, None)) is not None]
        if not gone:
            return

        def change(connection: sqlite3.Connection) -> None:
            for layer in gone:
                TABLE.delete(connection, chain_id=layer.chain_id)

        await self._database.run(change)
        self._suspects.difference_update(layer.chain_id for layer in gone)
        await self._delete(gone)

    async def _delete(self, layers: Sequence[Layer]) -> None:
        """Remove the directories of layers that have no row any more."""
        directories = [self._root / layer.directory for layer in layers]
        if directories:
            self.on_remove([str(directory) for directory in directories])
            await self.discard(directories)

    async def discard(self, directories: Sequence[Path]) -> None:
        """Remove directories that have no row."""
        for start in range(0, len(directories), GARBAGE_BATCH):
            paths = [str(path) for path in directories[start : start + GARBAGE_BATCH]]
            await self._worker.run(Remove(paths), RemoveDone)

    @asynccontextmanager
    async def discarding(self, directories: list[Path]) -> AsyncIterator[None]:
        """When what is done fails, the directories go."""
        try:
            yield
        except BaseException:
            await asyncio.shield(self.discard(directories))
            raise

    async def _unpack_all(
        self, missing: dict[str, Packed], made: dict[str, Path], progress: Callable[[str, int], None]
    ) -> dict[str, UnpackDone]:
        tasks = {
            chain_id: asyncio.ensure_future(self._unpack(packed, made[chain_id], progress))
            for chain_id, packed in missing.items()
        }
        try:
            await asyncio.gather(*tasks.values())
        finally:
            for task in tasks.values():
                task.cancel()
            if tasks:
                await asyncio.wait(tasks.values())
        return {chain_id: task.result() for chain_id, task in tasks.items()}

    async def _unpack(self, packed: Packed, target: Path, progress: Callable[[str, int], None]) -> UnpackDone:
        known = packed.diff_id if packed.digest == packed.diff_id else ""
        async with self._slots:
            source = os.open(packed.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                done = await self._worker.run(
                    Unpack(target=str(target), source=str(packed.path), known=known),
                    UnpackDone,
                    source,
                    lambda read: progress(packed.diff_id, read),
                )
            finally:
                os.close(source)
        if done.diff_id != packed.diff_id:
            raise InvalidArgument(
                f"layer {packed.digest}: invalid diffID: expected {packed.diff_id!r}, got {done.diff_id!r}"
            )
        return done

    async def _settle(self, chain: list[tuple[str, Packed]], made: dict[str, UnpackDone]) -> None:
        """Have what was made on disk, and give it rows."""
        if not made:
            return
        new: list[Layer] = []
        parent: str | None = None
        for chain_id, packed in chain:
            if chain_id in made:
                done = made[chain_id]
                new.append(Layer(chain_id, packed.diff_id, Path(done.target).name, done.size, parent))
            parent = chain_id
        await self._insert(new, list(made.values()))

    @undivided
    async def _insert(self, new: list[Layer], made: list[UnpackDone]) -> None:
        await in_thread(self._sync_made, made)

        def change(connection: sqlite3.Connection) -> None:
            for layer in new:
                TABLE.put(connection, layer)

        await self._database.run(change)
        damaged = [self._present[layer.chain_id] for layer in new if layer.chain_id in self._present]
        self._present.update((layer.chain_id, layer) for layer in new)
        self._suspects.difference_update(layer.chain_id for layer in new)
        await self._delete(damaged)

    def _sync_made(self, made: list[UnpackDone]) -> None:
        """Images are on disk already; of the many files of directories nothing is yet."""
        descriptor = os.open(self._root, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if all(layer_images.is_image(done.target) for done in made):
                os.fsync(descriptor)
            else:
                filesystems.sync(descriptor)
        finally:
            os.close(descriptor)


def _chain(layers: Sequence[Packed]) -> list[tuple[str, Packed]]:
    chain: list[tuple[str, Packed]] = []
    for packed in layers:
        above = f"{chain[-1][0]} {packed.diff_id}" if chain else ""
        chain.append((str(Digest.of(above.encode())) if above else packed.diff_id, packed))
    return chain
