"""Whether what lies on disk is still what its rows say: every blob and layer is read and compared with its digest.

What is found damaged counts as missing from then on, so that the next pull, load or build of it brings it anew.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Container, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from cove.content import Blobs
from cove.errors import InvalidArgument, NotFound
from cove.images.inventory import Inventory
from cove.images.records import Image
from cove.images.targets import Target
from cove.kernel import layer_images
from cove.layers import Packed, Worker
from cove.layers.layers import Layer
from cove.layers.worker.jobs import Check, Flaw, Verify, VerifyDone

BATCH = 64
"""Files of one job; a job is one datagram."""


class Problem(msgspec.Struct, frozen=True):
    """``kind``: ``blob``, ``layer`` or ``index``. ``name``: digest or chain id. ``path``: of the file.

    ``images``: those that stand on it, by id. ``repaired``: whether it is whole again.
    """

    kind: str
    name: str
    path: str
    problem: str
    images: list[str]
    repaired: bool = False


class Report(msgspec.Struct, frozen=True):
    """How much was looked at, in numbers and bytes, and what is wrong with it."""

    images: int
    blobs: int
    layers: int
    read: int
    problems: list[Problem]


class _Subject(NamedTuple):
    """What a check is about. ``kind``: ``blob`` or ``layer``. ``blob``: the digest of one that is the layer's tar."""

    kind: str
    name: str
    check: Check
    blob: str = ""


class _Scope:
    """What has to be there: blobs by digest, layers by chain id; and for which images."""

    def __init__(self) -> None:
        self.users: dict[str, set[str]] = defaultdict(set)
        self.blobs: dict[str, None] = {}
        self.layers: dict[str, None] = {}

    def add_image(self, image: Image) -> None:
        for name in (*image.blobs, *image.chain_ids):
            self.users[name].add(image.id)
        self.blobs.update(dict.fromkeys(image.blobs))
        self.layers.update(dict.fromkeys(image.chain_ids))

    def add_target(self, target: Target, blobs: Blobs) -> None:
        """What is beside the images need not be there; its index has to."""
        needed = {target.digest, *target.indexes}
        needed |= {blob.digest for part in target.parts if part.image for blob in (part.descriptor, *part.blobs)}
        for digest in target.blobs:
            if digest in needed or blobs.known(digest):
                self.blobs[digest] = None
                self.users[digest].add(target.image)


async def verify(
    inventory: Inventory, worker: Worker, names: Sequence[str], repair: bool, progress: Callable[[int], None]
) -> Report:
    """See ``Images.verify``."""
    images, scope = _scope(inventory, names)
    async with inventory.lease() as lease:
        lease.keep(*scope.blobs, *scope.layers)
        subjects = _subjects(inventory, scope)
        flaws, read = await _read(worker, [subject.check for subject in subjects.values()], progress)
        directories = _Directories(inventory, worker, images, {flaw.check for flaw in flaws})
        async for layer, check, size, found in directories.compared(scope.layers):
            subjects[check.path] = _Subject("layer", layer.chain_id, check)
            flaws, read = [*flaws, *found], read + size
            progress(read)
        problems = _missing(inventory, scope)
        problems += [problem for flaw in flaws for problem in _problems(flaw, subjects[flaw.check], scope)]
        inventory.blobs.suspect(problem.name for problem in problems if problem.kind == "blob")
        inventory.layers.suspect(problem.name for problem in problems if problem.kind != "blob")
        if repair:
            await _repair(inventory, images)
            problems = [_after(inventory, problem) for problem in problems]
    return Report(len(images), len(scope.blobs), len(scope.layers), read, problems)


def _scope(inventory: Inventory, names: Sequence[str]) -> tuple[list[Image], _Scope]:
    catalog, scope = inventory.catalog, _Scope()
    targets = [catalog.target(name) for name in names] if names else list(catalog.targets.values())
    ids = {image for target in targets for image in target.images}
    images = [image for image in catalog.images.values() if image.id in ids or not names]
    for image in images:
        scope.add_image(image)
    for target in targets:
        scope.add_target(target, inventory.blobs)
    if not names:  # what others keep, too
        scope.blobs.update(dict.fromkeys(blob.digest for blob in inventory.blobs.all()))
        scope.layers.update(dict.fromkeys(layer.chain_id for layer in inventory.layers.uppermost_first()))
    return images, scope


def _subjects(inventory: Inventory, scope: _Scope) -> dict[str, _Subject]:
    """By path. A blob that is a layer's tar at the same time is read once; layers in directories are for another."""
    found: dict[str, _Subject] = {}
    read_with: set[str] = set()
    for layer in inventory.layers.uppermost_first():
        path = inventory.layers.path(layer.chain_id)
        if layer.chain_id in scope.layers and layer_images.is_image(path.name):
            blob = layer.diff_id if _is_tar(inventory.blobs, layer.diff_id, path / layer_images.TAR) else ""
            read_with.add(blob)
            found[str(path)] = _Subject("layer", layer.chain_id, Check(str(path), layer.diff_id), blob)
    for digest in scope.blobs:
        if digest not in read_with and inventory.blobs.known(digest):
            path = inventory.blobs.path(digest)
            found[str(path)] = _Subject("blob", digest, Check(str(path), digest))
    return found


def _is_tar(blobs: Blobs, digest: str, tar: Path) -> bool:
    """Whether a blob and a layer's tar are one file."""
    try:
        return blobs.known(digest) is not None and os.path.samefile(blobs.path(digest), tar)
    except OSError:  # the checks will say so
        return False


async def _read(worker: Worker, checks: Sequence[Check], progress: Callable[[int], None]) -> tuple[list[Flaw], int]:
    """One job for each processor at a time; layers, which come first, are the large ones."""
    slots = asyncio.Semaphore(os.cpu_count() or 1)
    done: dict[int, int] = {}

    async def read(start: int) -> VerifyDone:
        def told(count: int) -> None:
            done[start] = count
            progress(sum(done.values()))

        async with slots:
            return await worker.run(Verify(list(checks[start : start + BATCH])), VerifyDone, progress=told)

    found = await asyncio.gather(*(read(start) for start in range(0, len(checks), BATCH)))
    return [flaw for each in found for flaw in each.flaws], sum(each.read for each in found)


class _Directories:
    """Layers in directories, each compared with what its blob is unpacked to, which lies beside it meanwhile.

    ``damaged``: paths of blobs that are not to be trusted.
    """

    def __init__(self, inventory: Inventory, worker: Worker, images: Sequence[Image], damaged: Container[str]) -> None:
        self._layers = inventory.layers
        self._worker = worker
        self._packed = {
            chain_id: Packed(diff_id, inventory.blobs.path(blob.digest), blob.digest)
            for image in images
            for chain_id, diff_id, blob in zip(image.chain_ids, image.config.rootfs.diff_ids, image.layers, strict=True)
            if inventory.blobs.get(blob.digest) and str(inventory.blobs.path(blob.digest)) not in damaged
        }

    async def compared(self, wanted: Container[str]) -> AsyncIterator[tuple[Layer, Check, int, list[Flaw]]]:
        """Of these chain ids those whose blobs are whole: with the bytes that were unpacked, and what is wrong."""
        for layer in self._layers.uppermost_first():
            path, packed = self._layers.path(layer.chain_id), self._packed.get(layer.chain_id)
            if packed and layer.chain_id in wanted and not layer_images.is_image(path.name) and path.is_dir():
                done = await self._layers.unpack(packed, lambda _, read: None, plain=True)
                try:
                    check = Check(str(path), layer.diff_id, done.target)
                    found = await self._worker.run(Verify([check]), VerifyDone)
                finally:
                    await asyncio.shield(self._layers.discard([Path(done.target)]))
                yield layer, check, done.plain_size, found.flaws


def _missing(inventory: Inventory, scope: _Scope) -> list[Problem]:
    blobs = [digest for digest in scope.blobs if inventory.blobs.known(digest) is None]
    layers = [chain_id for chain_id in scope.layers if not _has_layer(inventory, chain_id)]
    found = [("blob", name) for name in blobs] + [("layer", name) for name in layers]
    return [Problem(kind, name, "", "missing", sorted(scope.users[name])) for kind, name in found]


def _has_layer(inventory: Inventory, chain_id: str) -> bool:
    try:
        return inventory.layers.path(chain_id).is_dir()
    except NotFound:
        return False


def _problems(flaw: Flaw, subject: _Subject, scope: _Scope) -> Iterator[Problem]:
    is_index = flaw.path.endswith(f"/{layer_images.INDEX}")
    kind = "index" if is_index else subject.kind
    yield Problem(kind, subject.name, flaw.path, flaw.problem, sorted(scope.users[subject.name]))
    if subject.blob and not is_index:
        yield Problem("blob", subject.blob, flaw.path, flaw.problem, sorted(scope.users[subject.blob]))


async def _repair(inventory: Inventory, images: Sequence[Image]) -> None:
    """Unpack damaged layers anew from blobs that are whole."""
    for image in images:
        blobs = [inventory.blobs.get(layer.digest) for layer in image.layers]
        damaged = any(inventory.layers.get(chain_id) is None for chain_id in image.chain_ids)
        if damaged and None not in blobs:
            packed = [
                Packed(diff_id, inventory.blobs.path(layer.digest), layer.digest)
                for diff_id, layer in zip(image.config.rootfs.diff_ids, image.layers, strict=True)
            ]
            with suppress(InvalidArgument):  # it is damaged since
                await inventory.layers.add(packed)


def _after(inventory: Inventory, problem: Problem) -> Problem:
    where = inventory.blobs if problem.kind == "blob" else inventory.layers
    return msgspec.structs.replace(problem, repaired=where.get(problem.name) is not None)
