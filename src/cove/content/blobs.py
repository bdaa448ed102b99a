"""The blobs of one data root: ``blobs/<algorithm>/<hex>``, and their rows.

A blob is written to ``tmp/``, synced, verified, renamed and then given its row, in that order; what has no row is
garbage that ``open`` collects.
"""

import asyncio
import os
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from cove.digest import LENGTHS, Digest
from cove.errors import InvalidArgument, NotFound
from cove.kernel import file_data
from cove.store import Database, Table, in_thread, undivided

READ_SIZE = 1 << 20


class Blob(msgspec.Struct, frozen=True):
    """``size`` in bytes."""

    digest: str
    size: int


TABLE: Table[Blob] = Table(
    "blobs", Blob, ("digest",), {"digest": lambda blob: blob.digest, "size": lambda blob: blob.size}
)


class Blobs:
    """What is in ``blobs``. Use from one event loop; file work is done in threads."""

    def __init__(self, database: Database, data_root: Path) -> None:
        self._database = database
        self._root = data_root / "blobs"
        self._temporary = data_root / "tmp"
        self._present: dict[str, Blob] = {}
        self._suspects: set[str] = set()
        self._changing = asyncio.Lock()

    def open(self) -> None:
        """Read the rows and remove what a stopped daemon left behind. Only at start-up."""
        for algorithm in LENGTHS:
            if not (self._root / algorithm).is_dir():
                (self._root / algorithm).mkdir(parents=True)
                file_data.sync(self._root)
        self._temporary.mkdir(parents=True, exist_ok=True)
        os.chmod(self._temporary, 0o700)
        self._present = {blob.digest: blob for blob in self._database.load(TABLE.select)}
        for stale in self._temporary.glob("blob-*"):
            stale.unlink()
        for file in self._root.glob("*/*"):
            if f"{file.parent.name}:{file.name}" not in self._present:
                file.unlink()

    def get(self, digest: str) -> Blob | None:
        """The blob of this digest, or None when it is not here, or found damaged."""
        return None if digest in self._suspects else self._present.get(digest)

    def known(self, digest: str) -> Blob | None:
        """The same, of what was found damaged too."""
        return self._present.get(digest)

    def suspect(self, digests: Iterable[str]) -> None:
        """Take these for missing from now on, so that whoever brings them replaces them."""
        self._suspects.update(digest for digest in digests if digest in self._present)

    def path(self, digest: str) -> Path:
        """Where the bytes are. Raises NotFound when they are not here."""
        if digest not in self._present:
            raise NotFound(f"blob {digest} not found")
        return self._place(digest)

    def _place(self, digest: str) -> Path:
        parsed = Digest.parse(digest)
        return self._root / parsed.algorithm / parsed.hex

    def temporary(self) -> Path:
        """A new name for a blob in the making, below ``tmp/``; give it to ``commit`` or unlink it."""
        return self._temporary / f"blob-{secrets.token_hex(8)}"

    async def read(self, digest: str, limit: int) -> bytes:
        """All bytes of a small blob. Raises NotFound, and InvalidArgument when it is larger than ``limit`` bytes."""
        path, size = self.path(digest), self._present[digest].size
        if size > limit:
            raise InvalidArgument(f"blob {digest} has {size} bytes, more than the {limit} allowed here")
        return await asyncio.to_thread(path.read_bytes)

    async def stream(self, digest: str) -> AsyncIterator[bytes]:
        """The bytes of a blob in large pieces. Raises NotFound."""
        file = await asyncio.to_thread(self.path(digest).open, "rb", buffering=0)
        try:
            while piece := await asyncio.to_thread(file.read, READ_SIZE):
                yield piece
        finally:
            file.close()

    async def put(self, data: bytes) -> Blob:
        """Keep these bytes; the blob that they are."""
        temporary, blob = await self.stage(data)
        await self.commit([(temporary, blob)])
        return blob

    async def stage(self, data: bytes) -> tuple[Path, Blob]:
        """Write these bytes to a temporary file, for ``commit`` together with others."""
        temporary = self.temporary()
        try:
            await in_thread(temporary.write_bytes, data)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary, Blob(str(Digest.of(data)), len(data))

    async def receive(self, chunks: AsyncIterator[bytes], expected: Blob) -> Blob:
        """Keep a stream of bytes that must be exactly ``expected``.

        Raises InvalidArgument when size or digest differ; then nothing is kept.
        """
        temporary = self.temporary()
        try:
            await self._write(temporary, chunks, expected)
            await self.commit([(temporary, expected)])
        finally:
            temporary.unlink(missing_ok=True)
        return expected

    @undivided
    async def commit(self, finished: Sequence[tuple[Path, Blob]]) -> None:
        """Sync files, verified by the caller, and make them blobs, all or none; then they are gone in any case."""
        try:
            async with self._changing:
                new = {blob.digest: (path, blob) for path, blob in finished if self.get(blob.digest) is None}
                if new:
                    await asyncio.to_thread(self._settle, list(new.values()))
                    await self._database.run(lambda connection: _insert(connection, new.values()))
                    self._present.update((digest, blob) for digest, (_, blob) in new.items())
                    self._suspects.difference_update(new)
        finally:
            for path, _ in finished:
                path.unlink(missing_ok=True)

    @undivided
    async def remove(self, digests: Iterable[str]) -> None:
        """Forget blobs and delete their files; those that are not here are passed over."""
        popped = [digest for digest in digests if self._present.pop(digest, None) is not None]
        if not popped:
            return
        async with self._changing:
            gone = [digest for digest in popped if digest not in self._present]  # some may have come again

            def change(connection: sqlite3.Connection) -> None:
                for digest in gone:
                    TABLE.delete(connection, digest=digest)

            await self._database.run(change)
            self._suspects.difference_update(gone)
            await asyncio.to_thread(self._unlink, gone)

    def all(self) -> list[Blob]:
        """Every blob that is here."""
        return list(self._present.values())

    async def _write(self, temporary: Path, chunks: AsyncIterator[bytes], expected: Blob) -> None:
        digest = Digest.parse(expected.digest)
        checksum, size = digest.hash(), 0
        with temporary.open("wb", buffering=0) as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > expected.size:
                    raise InvalidArgument(f"blob {digest}: more than the {expected.size} bytes announced")
                await in_thread(_append, file.fileno(), chunk, checksum.update)
        if size != expected.size:
            raise InvalidArgument(f"blob {digest}: {size} bytes, {expected.size} were announced")
        if checksum.hexdigest() != digest.hex:
            raise InvalidArgument(f"blob {digest}: digest is {digest.algorithm}:{checksum.hexdigest()}")

    def _settle(self, finished: list[tuple[Path, Blob]]) -> None:
        for path, blob in finished:
            file_data.sync(path)
            os.rename(path, self._place(blob.digest))
        for directory in {self._place(blob.digest).parent for _, blob in finished}:
            file_data.sync(directory)

    def _unlink(self, digests: list[str]) -> None:
        for digest in digests:
            self._place(digest).unlink(missing_ok=True)


def _insert(connection: sqlite3.Connection, finished: Iterable[tuple[Path, Blob]]) -> None:
    for _, blob in finished:
        TABLE.put(connection, blob)


def _append(descriptor: int, chunk: bytes, update: Callable[[bytes], None]) -> None:
    update(chunk)
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]
