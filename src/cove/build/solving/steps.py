"""Layers for the steps of a build: what a worker has made becomes a blob and a layer that images can stand on."""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cove.build.planning.graph import Context, LayerRef, Root
from cove.content import Blob
from cove.digest import chain_ids
from cove.images import Images
from cove.images.leases import Lease
from cove.layers import Packed, Worker
from cove.layers.worker.build_jobs import (
    CopyStep,
    FindPackages,
    FindPackagesDone,
    FoundPackage,
    PackStep,
    ReadFile,
    ReadFileDone,
    Select,
    SelectDone,
    Selection,
    Squash,
    TreePlace,
)
from cove.layers.worker.jobs import Populate, PopulateDone, Unpack, UnpackDone
from cove.oci.image import LAYER, Descriptor


class StepLayers:
    """``images``: where layers are kept. ``lease``: keeps what this build makes until it is done."""

    def __init__(self, images: Images, worker: Worker, lease: Lease, slots: asyncio.Semaphore, epoch: int = -1) -> None:
        self._images = images
        self._worker = worker
        self._lease = lease
        self._slots = slots
        self._epoch = epoch

    async def lower(self, root: Root) -> list[str]:
        """The directories of a root, uppermost first; what is not unpacked yet is. Raises NotFound for a lost blob."""
        await self.ensure(root)
        return [str(self._images.layers.path(chain_id)) for chain_id in reversed(root.chain_ids)]

    async def ensure(self, root: Root) -> None:
        """Have every layer of a root unpacked."""
        self._lease.keep(*root.chain_ids, *(layer.blob.digest for layer in root.layers))
        if all(self._images.layers.get(chain_id) for chain_id in root.chain_ids):
            return
        packed = [
            Packed(layer.diff_id, self._images.blobs.path(layer.blob.digest), layer.blob.digest)
            for layer in root.layers
        ]
        await self._images.layers.add(packed)

    def present(self, root: Root) -> bool:
        """Whether a root can be used without anything being fetched; if so it stays until the build is done."""
        self._lease.keep(*root.chain_ids, *(layer.blob.digest for layer in root.layers))
        return all(self._images.blobs.get(layer.blob.digest) for layer in root.layers)

    async def context_image(self, context: Context, scratch: Path) -> str:
        """A context as a layer that can be mounted, below ``scratch``."""
        target = scratch / f"context-{secrets.token_hex(4)}{self._images.layers.fresh().suffix}"
        source = os.open(context.tar, os.O_RDONLY | os.O_CLOEXEC)
        try:
            job = Unpack(target=str(target), source=context.tar, devices=False)
            return (await self._worker.run(job, UnpackDone, source)).target
        finally:
            os.close(source)

    async def select(self, selection: Selection, lower: Sequence[str], listing: str) -> SelectDone:
        """What a copy amounts to. Raises NotFound, InvalidArgument."""
        async with self._slots:
            return await self._worker.run(Select(selection, list(lower), listing), SelectDone)

    async def fill(self, lower: Sequence[str], path: str, directory: str) -> None:
        """Copy what layers have at a path into a directory, unless there is something in it."""
        await self._worker.run(Populate(list(lower), path or "/", directory), PopulateDone)

    async def read(self, root: Root, path: str, limit: int) -> str:
        """A file of text; nothing when it is not there, or too long."""
        job = ReadFile(TreePlace(lower=await self.lower(root)), path.encode(), limit)
        content = (await self._worker.run(job, ReadFileDone)).content or b""
        return content.decode("utf-8", "replace") if len(content) < limit else ""

    async def packages(self, root: Root) -> list[FoundPackage]:
        """What languages' package managers have put into a root."""
        async with self._slots:
            return (await self._worker.run(FindPackages(await self.lower(root)), FindPackagesDone)).packages

    def keep(self, *digests: str) -> None:
        """Keep blobs until the build is done."""
        self._lease.keep(*digests)

    @property
    def epoch(self) -> int:
        """Seconds since 1970 that no file is younger than; -1: they have their own times."""
        return self._epoch

    async def copy(self, selection: Selection, parent: Root, now: int) -> LayerRef | None:
        """Make the layer of a copy; None when it has nothing in it."""
        target, plain = self._images.layers.fresh(), self._images.blobs.temporary()
        job = CopyStep(selection, await self.lower(parent), str(target), str(plain), now, self._epoch)
        return await self._made(job, target, plain, parent)

    async def pack(self, upper: str, stubs: Sequence[str], parent: Root) -> LayerRef | None:
        """Make the layer of what a program has changed; None when that is nothing."""
        target, plain = self._images.layers.fresh(), self._images.blobs.temporary()
        job = PackStep(upper, str(target), str(plain), await self.lower(parent), list(stubs), self._epoch)
        return await self._made(job, target, plain, parent)

    async def squash(self, below: Root, own: Root) -> LayerRef | None:
        """One layer over ``below`` in place of all that ``own`` has above it."""
        sources = [str(self._images.blobs.path(layer.blob.digest)) for layer in own.layers[len(below.layers) :]]
        target, plain = self._images.layers.fresh(), self._images.blobs.temporary()
        job = Squash(sources, await self.lower(below), str(target), str(plain), self._epoch)
        return await self._made(job, target, plain, below)

    async def _made(
        self, job: CopyStep | PackStep | Squash, target: Path, plain: Path, parent: Root
    ) -> LayerRef | None:
        try:
            async with self._slots:
                done = await self._worker.run(job, UnpackDone)
            if not done.entries:
                await self._images.layers.discard([Path(done.target)])
                return None
            return await self._keep(done, plain, parent)
        except BaseException:
            await asyncio.shield(self._images.layers.discard([target]))
            raise
        finally:
            _unlink(plain)

    async def _keep(self, done: UnpackDone, plain: Path, parent: Root) -> LayerRef:
        chain_id = chain_ids([*parent.diff_ids, done.diff_id])[-1]
        self._lease.keep(chain_id, done.diff_id)
        await self._images.blobs.commit([(plain, Blob(done.diff_id, done.plain_size))])
        layer = await self._images.layers.stack(done, chain_id, parent.chain_id if parent.layers else None)
        return LayerRef(Descriptor(LAYER, done.diff_id, done.plain_size), done.diff_id, layer.size)


def _unlink(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
