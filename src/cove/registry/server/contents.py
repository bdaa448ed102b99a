"""Blobs and manifests: their rows and their files, in step.

Bytes are synced and have their place before a row names them; a row is gone before its bytes are. What a kill leaves
between is a file without a row, which ``Files.open`` removes.
"""

import asyncio
import secrets
import weakref
from pathlib import Path

from cove.digest import Digest
from cove.kernel import file_data
from cove.registry.server import manifests
from cove.registry.server.failures import BLOB_UNKNOWN, MANIFEST_UNKNOWN, RegistryError
from cove.registry.server.files import Files
from cove.registry.server.index import Index, Manifest


class Contents:
    """What repositories have. Use from one event loop."""

    def __init__(self, index: Index, store: Files) -> None:
        self._index = index
        self._files = store
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def adopt(self, repository: str, source: Path, digest: Digest, size: int, upload: str) -> None:
        """The repository has these bytes, which are verified; ``upload`` is over and ``source`` gone."""
        await asyncio.to_thread(file_data.sync, source)
        async with self._changing(digest):
            await self._settle(source, digest)
            await self._index.link(repository, str(digest), size, upload)
        await asyncio.to_thread(self._files.discard, source)

    async def put(self, repository: str, content: bytes, media_type: str, tag: str, algorithm: str) -> Manifest:
        """The repository has this manifest, by its digest of an algorithm.

        Raises RegistryError when it is none, or refers to what is not here.
        """
        read = manifests.read(content, media_type)
        digest = Digest.of(content, algorithm)
        manifest = Manifest(
            str(digest), read.media_type, len(content), read.subject, read.artifact_type, read.annotations
        )
        async with self._changing(digest):
            if self._index.anywhere(str(digest)) is None:
                await self._write(content, digest)
            try:
                await self._index.put(repository, manifest, read, tag)
            except BaseException:
                if self._index.anywhere(str(digest)) is None:
                    await asyncio.to_thread(self._files.remove, digest)
                raise
        return manifest

    async def remove_manifest(self, repository: str, digest: Digest) -> None:
        """Raises RegistryError when the repository has no such manifest."""
        async with self._changing(digest):
            found, orphaned = await self._index.remove_manifest(repository, str(digest))
            if orphaned:
                await asyncio.to_thread(self._files.remove, digest)
        if not found:
            raise RegistryError(MANIFEST_UNKNOWN, {"digest": str(digest)})

    async def remove_blob(self, repository: str, digest: Digest) -> None:
        """Raises RegistryError when the repository has no such blob."""
        async with self._changing(digest):
            found, orphaned = await self._index.unlink(repository, str(digest))
            if orphaned:
                await asyncio.to_thread(self._files.remove, digest)
        if not found:
            raise RegistryError(BLOB_UNKNOWN, {"digest": str(digest)})

    def _changing(self, digest: Digest) -> asyncio.Lock:
        """Held while the file of this digest comes or goes."""
        return self._locks.setdefault(str(digest), asyncio.Lock())

    async def _settle(self, source: Path, digest: Digest) -> None:
        if self._index.anywhere(str(digest)) is None:
            await asyncio.to_thread(self._files.settle, source, digest)

    async def _write(self, content: bytes, digest: Digest) -> None:
        source = self._files.upload(f"manifest-{secrets.token_hex(8)}")
        try:
            await asyncio.to_thread(source.write_bytes, content)
            await asyncio.to_thread(file_data.sync, source)
            await asyncio.to_thread(self._files.settle, source, digest)
        finally:
            await asyncio.to_thread(self._files.discard, source)
