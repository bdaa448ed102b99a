"""An image to a registry: blobs first, then manifests, then the index, so that nothing there ever misses a part."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cove.errors import NotFound, Upstream
from cove.images import Image, Images
from cove.images.compressing import compressed
from cove.images.targets import Part, Target, manifest_type
from cove.oci import image as oci
from cove.platform import Platform
from cove.reference import Reference
from cove.registry.client.blob_writer import BlobWriter, Source
from cove.registry.client.concurrency import all_or_none
from cove.registry.client.failures import NoCredentials
from cove.registry.client.manifests import MAX_MANIFEST, Fetched, Manifests
from cove.registry.client.places import is_among
from cove.registry.client.progress import Step, Tell
from cove.registry.client.push_progress import Line
from cove.registry.client.session import Session

READ_SIZE = 1 << 20
MAX_TAGS = 5
"""Names that are pushed at once."""
MAX_MOUNTS = 4
"""Repositories that a blob is tried to be mounted from."""


class Pushed(NamedTuple):
    """``reference``: with the tag. ``image``: the one whose name it is."""

    reference: Reference
    image: Image


class Pusher:
    """Pushes to one repository. ``tell`` is given each step."""

    def __init__(self, session: Session, repository: Reference, images: Images, tell: Tell) -> None:
        self._session = session
        self._repository = repository
        self._images = images
        self._tell = tell
        self._writer = BlobWriter(session, repository.path)
        self._manifests = Manifests(session, repository.path, "pull,push")
        self._slots = asyncio.Semaphore(session.registries.uploads)
        self._tags = asyncio.Semaphore(MAX_TAGS)
        self._compressing = asyncio.Lock()
        self._blobs: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """By digest: of what several tags have one brings it, and the others find it there."""

    async def tags(self, references: Sequence[Reference], platform: Platform | None) -> list[Pushed]:
        """Push these names, some at once; in their order. Raises in Docker's words."""
        done: dict[Reference, Pushed] = {}

        async def one(reference: Reference) -> None:
            async with self._tags:
                done[reference] = await self.one(reference, platform)

        try:
            await all_or_none([one(reference) for reference in references])
        except NoCredentials as error:
            raise Upstream("no basic auth credentials") from error
        return [done[reference] for reference in references]

    async def one(self, reference: Reference, platform: Platform | None) -> Pushed:
        """One image. An index goes with all its platforms if they are here, else the best that is goes alone."""
        async with AsyncExitStack() as kept:
            lease = await kept.enter_async_context(self._images.lease())
            image, target = self._images.resolve(str(reference), platform), self._images.target(str(reference))
            lease.keep(*target.blobs, *image.blobs)
            for each in target.images:  # the name may be moved or removed from now on
                kept.push_async_callback(self._images.released, each)
                kept.enter_context(self._images.hold(each))
            there = await self._manifests.digest_of(reference.tag)
            async with self._compressing:
                target = await compressed(self._images, lease, reference, target, self._preparing)
            whole = bool(target.indexes) and platform is None and _is_whole(target)
            parts = target.parts if whole else [self._part(target, image)]
            top = target.descriptor if whole else parts[0].descriptor
            if there == top.digest and not self._distributes(parts):
                self._all_there(parts)
            else:
                manifest = await self._index(target) if whole else await self._image(parts[0])
                await self._manifests.put(reference.tag, manifest)
            if top.digest == target.digest:
                with suppress(NotFound):  # it was removed meanwhile
                    await self._images.pushed(top.digest, reference)
        self._tell(Step(f"{reference.tag}: digest: {top.digest} size: {top.size}"))
        self._tell(Step(current=0, aux={"Tag": reference.tag, "Digest": top.digest, "Size": top.size}))
        return Pushed(reference, image)

    def _part(self, target: Target, image: Image) -> Part:
        part = target.part_of(image.id)
        if part is None:
            raise NotFound(f"image {image.id} is no part of what its name points at")
        if target.indexes:
            self._tell(Step(aux=_instead(target, part)))
        return part

    def _all_there(self, parts: Sequence[Part]) -> None:
        """The tag is this already: the registry took the manifest because it had all that is in it."""
        for part in parts:
            if part.image:
                for layer, line in self._lines(part):
                    if not self._skipped(layer, line):
                        line.exists()

    def _distributes(self, parts: Sequence[Part]) -> bool:
        """Whether there are foreign layers to bring, which a registry takes a manifest without."""
        return may_distribute(self._session) and any(blob.is_foreign for part in parts for blob in part.blobs)

    def _lines(self, part: Part) -> list[tuple[oci.Descriptor, Line]]:
        """The layers of a manifest, uppermost first, with their lines, which say ``Preparing`` from now on."""
        diff_ids = self._images.get(part.image).config.rootfs.diff_ids
        pairs = [(layer, Line(diff_id, self._tell)) for layer, diff_id in zip(part.blobs[1:], diff_ids, strict=True)]
        for _, line in reversed(pairs):
            line.preparing()
        return pairs[::-1]

    async def _image(self, part: Part) -> Fetched:
        """A manifest's blobs; the manifest itself, which is not put yet."""
        await all_or_none([self._blob(part.blobs[0]), *(self._layer(*each) for each in self._lines(part))])
        body = await self._images.blobs.read(part.descriptor.digest, MAX_MANIFEST)
        return Fetched(part.descriptor.digest, part.descriptor.media_type, body)

    async def _index(self, target: Target) -> Fetched:
        """All that an index lists, and the indexes in it; the outermost is not put yet."""
        for part in target.parts:
            manifest = await self._image(part) if part.image else await self._bare(part)
            await self._manifests.put(manifest.digest, manifest)
        for digest in reversed(target.indexes[1:]):
            await self._manifests.put(digest, await self._read_index(digest))
        return await self._read_index(target.digest)

    async def _bare(self, part: Part) -> Fetched:
        """The blobs and the manifest of what is no image: an attestation, an artifact."""
        await all_or_none([self._blob(blob) for blob in part.blobs])
        body = await self._images.blobs.read(part.descriptor.digest, MAX_MANIFEST)
        return Fetched(part.descriptor.digest, part.descriptor.media_type, body)

    async def _read_index(self, digest: str) -> Fetched:
        body = await self._images.blobs.read(digest, MAX_MANIFEST)
        return Fetched(digest, manifest_type(body), body)

    async def _blob(self, blob: oci.Descriptor) -> None:
        """One that is no layer."""
        async with self._blobs[blob.digest]:
            if not await self._writer.has(blob.digest):
                await self._writer.upload(blob, self._source(blob.digest))

    async def _layer(self, blob: oci.Descriptor, line: Line) -> None:
        """One layer, by the cheapest way that there is."""
        if self._skipped(blob, line):
            return
        if self._slots.locked():
            line.waiting()
        async with self._blobs[blob.digest], self._slots:
            if await self._writer.has(blob.digest):
                line.exists()
                return
            for source in self._neighbours(blob.digest):
                if await self._writer.mount(blob.digest, source):
                    line.mounted(source)
                    return
            await self._writer.upload(blob, self._source(blob.digest, line.progress(blob.size)))
            line.pushed()

    def _skipped(self, blob: oci.Descriptor, line: Line) -> bool:
        """Whether it is a layer that is not for this registry, which its line says."""
        if not blob.is_foreign or may_distribute(self._session):
            return False
        line.skipped()
        return True

    def _neighbours(self, digest: str) -> list[str]:
        """Repositories of the same registry that have a blob, as far as is known here."""
        return neighbours(self._images, self._repository, digest)[:MAX_MOUNTS]

    def _source(self, digest: str, progress: Callable[[int], None] = lambda sent: None) -> Source:
        path = self._images.blobs.path(digest)
        return lambda offset: _pieces(path, offset, progress)

    def _preparing(self, image: Image) -> Callable[[str, int], None]:
        sizes = dict(zip(image.config.rootfs.diff_ids, image.layers, strict=True))
        lines = {diff_id: Line(diff_id, self._tell) for diff_id in sizes}
        return lambda diff_id, done: lines[diff_id].compressing(done, sizes[diff_id].size)


def may_distribute(session: Session) -> bool:
    """Whether layers that are not to be distributed may be pushed to a session's registry."""
    return is_among(session.host, session.registries.foreign)


def neighbours(images: Images, repository: Reference, digest: str) -> list[str]:
    """The paths of other repositories of a registry that images here with this blob were pulled from or pushed to."""
    found: dict[str, None] = {}
    for listed in images.select():
        for target in images.targets(listed.image.id):
            if digest in target.blobs:
                located = (Reference.parse(name) for name in target.repositories)
                found |= {each.path: None for each in located if each.domain == repository.domain}
    found.pop(repository.path, None)
    return list(found)


async def _pieces(path: Path, offset: int, progress: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    file = await asyncio.to_thread(path.open, "rb", 0)
    try:
        await asyncio.to_thread(file.seek, offset)
        while piece := await asyncio.to_thread(file.read, READ_SIZE):
            yield piece
            offset += len(piece)
            progress(offset)
    finally:
        file.close()


def _is_whole(target: Target) -> bool:
    """Whether everything that a target lists is here, so that it can go as it is."""
    return all(part.image or (part.kind != "image" and part.blobs) for part in target.parts)


def _instead(target: Target, part: Part) -> dict[str, Any]:
    """What tells a client that one platform was pushed, not the index (moby's auxprogress)."""
    return {
        "manifestPushedInsteadOfIndex": True,
        "originalIndex": msgspec.to_builtins(target.descriptor),
        "selectedManifest": msgspec.to_builtins(part.descriptor),
    }
