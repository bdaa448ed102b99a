"""Images from one registry to another, blob by blob as they come; nothing is kept here."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from cove.digest import Digest
from cove.errors import Upstream
from cove.oci.image import Descriptor
from cove.platform import Platform
from cove.reference import Reference
from cove.registry.client.blob_writer import BlobWriter
from cove.registry.client.blobs import BlobReader
from cove.registry.client.choosing import choose
from cove.registry.client.concurrency import all_or_none
from cove.registry.client.look import manifest
from cove.registry.client.manifests import Fetched, Manifests, parse_index, parse_manifest
from cove.registry.client.progress import Tell
from cove.registry.client.push import may_distribute
from cove.registry.client.push_progress import Line
from cove.registry.client.session import Session

MAX_DEPTH = 4
MAX_MANIFESTS = 2000


class Copier:
    """From ``source`` to ``target``, with sessions of their registries. ``tell`` is given each step."""

    def __init__(self, reading: Session, source: Reference, writing: Session, target: Reference, tell: Tell) -> None:
        self._reading = reading
        self._writing = writing
        self._source = source
        self._target = target
        self._tell = tell
        self._same = source.domain == target.domain
        self._from = Manifests(reading, source.path)
        self._to = Manifests(writing, target.path, "pull,push")
        self._reader = BlobReader(reading, source.path)
        self._writer = BlobWriter(writing, target.path)
        self._slots = asyncio.Semaphore(writing.registries.uploads)
        self._count = 0

    async def copy(self, platform: Platform | None = None) -> Fetched:
        """Copy an image with all its platforms, or only the manifest for ``platform``; what the new name points at.

        Raises RegistryError, NotFound when there is no such platform, Upstream.
        """
        top = await manifest(self._reading, self._source)
        depth = 0
        while platform is not None and top.is_index:
            if depth == MAX_DEPTH:
                raise Upstream(f"{self._source.familiar}: more than {MAX_DEPTH} indexes in each other")
            top = await self._from.get(choose(parse_index(top.body).manifests, platform).digest)
            depth += 1
        await self._parts(top, MAX_DEPTH)
        await self._to.put(self._target.tag or top.digest, top)
        return top

    async def _parts(self, fetched: Fetched, depth: int) -> None:
        """Everything that a manifest or an index stands on."""
        if not fetched.is_index:
            await self._blobs(fetched)
            return
        if not depth:
            raise Upstream(f"{self._source.familiar}: more than {MAX_DEPTH} indexes in each other")
        for child in parse_index(fetched.body).manifests:
            self._count += 1
            if self._count > MAX_MANIFESTS:
                raise Upstream(f"{self._source.familiar}: more than {MAX_MANIFESTS} manifests")
            part = await self._from.get(child.digest)
            await self._parts(part, depth - 1)
            await self._to.put(part.digest, part)

    async def _blobs(self, fetched: Fetched) -> None:
        parsed = parse_manifest(fetched.body)
        blobs = {blob.digest: blob for blob in (parsed.config, *parsed.layers)}
        await all_or_none([self._blob(blob) for blob in blobs.values()])

    async def _blob(self, blob: Descriptor) -> None:
        line = Line(blob.digest, self._tell)
        if blob.is_foreign and not may_distribute(self._writing):
            line.skipped()
            return
        async with self._slots:
            if await self._writer.has(blob.digest):
                line.exists()
            elif self._same and await self._writer.mount(blob.digest, self._source.path):
                line.mounted(self._source.path)
            else:
                await self._writer.upload(
                    blob, lambda offset: self._verified(blob, offset, line.progress(blob.size, "Copying"))
                )
                line.copied()

    async def _verified(
        self, blob: Descriptor, offset: int, progress: Callable[[int], None]
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob; those that are read from its beginning on are checked before the last one is given."""
        digest = Digest.parse(blob.digest)
        checksum, done = digest.hash(), offset
        async with aclosing(self._reader.stream(blob, offset)) as pieces:
            async for piece in pieces:
                await asyncio.to_thread(checksum.update, piece)
                done += len(piece)
                if done == blob.size and not offset and checksum.hexdigest() != digest.hex:
                    raise Upstream(f"blob {blob.digest}: what came is {digest.algorithm}:{checksum.hexdigest()}")
                progress(done)
                yield piece
