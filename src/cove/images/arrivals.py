"""Layers that arrive from a registry: each is verified, kept and made ready to mount while it streams in.

A layer that two pulls want at the same time comes once: the second joins the first. It ends when nobody wants it any
more.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

from cove.content import Blob, Blobs
from cove.digest import Digest
from cove.errors import Internal, Upstream
from cove.layers import Layers, Packed
from cove.layers.worker.jobs import UnpackDone
from cove.store import ended

CONCURRENT = 3
"""Downloads at once of all pulls together, unless configured (as with Docker)."""


class Layer(NamedTuple):
    """One layer of an image to be. ``parent``: the chain id of the one below, or empty. ``size``: bytes of the blob."""

    chain_id: str
    parent: str
    diff_id: str
    digest: str
    size: int


class Stage(NamedTuple):
    """How far a layer is: ``name`` is ``waiting``, ``downloading``, ``downloaded``, ``extracting``; ``done``: bytes."""

    name: str
    done: int = 0


Fetch = Callable[[], AsyncGenerator[bytes, None]]
Listener = Callable[[Stage], None]


class _Arrival:
    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.stage = Stage("waiting")
        self.task: asyncio.Future[None]

    def tell(self, stage: Stage) -> None:
        self.stage = stage
        for listener in self.listeners:
            listener(stage)


class Arrivals:
    """Use from one event loop. The caller keeps what arrives from being collected (``Inventory.adding``)."""

    def __init__(self, blobs: Blobs, layers: Layers) -> None:
        self._blobs = blobs
        self._layers = layers
        self._under_way: dict[str, _Arrival] = {}
        self._users: dict[str, _Turn] = {}
        self._slots = asyncio.Semaphore(CONCURRENT)

    def limit(self, downloads: int) -> None:
        """Let so many downloads go on at once from now on."""
        self._slots = asyncio.Semaphore(max(downloads, 1))

    def is_here(self, layer: Layer) -> bool:
        return self._layers.get(layer.chain_id) is not None and self._blobs.get(layer.digest) is not None

    async def take(self, layer: Layer, fetch: Fetch, listener: Listener) -> None:
        """Have a layer here, its blob too; ``fetch`` brings the blob's bytes. The one below must be taken as well.

        Raises Upstream when what comes is not what was announced, and what ``fetch`` raises.
        """
        if self.is_here(layer):
            return
        arrival = self._under_way.get(layer.chain_id)
        if arrival is None:
            arrival = self._under_way[layer.chain_id] = _Arrival()
            arrival.task = asyncio.ensure_future(self._arrive(layer, fetch, arrival))
        arrival.listeners.append(listener)
        listener(arrival.stage)
        try:
            await asyncio.shield(arrival.task)
        finally:
            arrival.listeners.remove(listener)
            if not arrival.listeners and not arrival.task.done():
                arrival.task.cancel()
                await ended(arrival.task)  # whoever keeps what arrives from being collected waits for that

    async def _arrive(self, layer: Layer, fetch: Fetch, arrival: _Arrival) -> None:
        try:
            done = await self._made(layer, fetch, arrival)
            arrival.tell(Stage("extracting", layer.size))
            if done is not None:
                await self._adopt(layer, done)
        finally:
            del self._under_way[layer.chain_id]

    async def _made(self, layer: Layer, fetch: Fetch, arrival: _Arrival) -> UnpackDone | None:
        """The layer unpacked, if it was not, and its blob kept. Images with other layers below it may want both."""
        users = self._users[layer.digest] = self._users.get(layer.digest) or _Turn()
        async with users:
            try:
                if self._blobs.get(layer.digest) is None:
                    return await self._download(layer, fetch, arrival)
                if self._layers.get(layer.chain_id) is None:
                    return await self._unpack(layer, arrival)
                return None
            finally:
                if users.is_last:
                    del self._users[layer.digest]

    async def _download(self, layer: Layer, fetch: Fetch, arrival: _Arrival) -> UnpackDone | None:
        target = None if self._layers.get(layer.chain_id) else self._layers.fresh()
        raw = self._blobs.temporary()
        async with self._slots:
            arrival.tell(Stage("downloading"))
            try:
                async with aclosing(fetch()) as chunks:
                    done = await self._layers.receive_blob(
                        chunks,
                        target,
                        raw,
                        Digest.parse(layer.digest).algorithm,
                        lambda read: arrival.tell(Stage("downloading", read)),
                    )
                arrival.tell(Stage("downloaded", done.raw_size))
                async with self._layers.discarding([Path(done.target)] if done.target else []):
                    _check(layer, done)
                    await self._blobs.commit([(raw, Blob(layer.digest, layer.size))])
            finally:
                raw.unlink(missing_ok=True)
        return done if target else None

    async def _unpack(self, layer: Layer, arrival: _Arrival) -> UnpackDone:
        packed = Packed(layer.diff_id, self._blobs.path(layer.digest), layer.digest)
        return await self._layers.unpack(packed, lambda _, read: arrival.tell(Stage("extracting", read)))

    async def _adopt(self, layer: Layer, done: UnpackDone) -> None:
        async with self._layers.discarding([Path(done.target)]):
            await self._below(layer.parent)
            await self._layers.adopt(done, layer.chain_id, layer.parent or None)

    async def _below(self, parent: str) -> None:
        """Wait until the layer below is there. Raises what went wrong with it."""
        arrival = self._under_way.get(parent)
        if arrival is not None:
            await asyncio.wait([arrival.task])
            if not arrival.task.cancelled() and (error := arrival.task.exception()):
                raise error
        if parent and self._layers.get(parent) is None:
            raise Internal(f"layer {parent} is not there, and something is to lie on it")


class _Turn(asyncio.Lock):
    """A lock that knows whether somebody else waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._users = 0

    @property
    def is_last(self) -> bool:
        return self._users == 1

    async def __aenter__(self) -> None:
        self._users += 1
        try:
            await super().__aenter__()
        except BaseException:
            self._users -= 1
            raise

    async def __aexit__(self, *details: object) -> None:
        self._users -= 1
        self.release()


def _check(layer: Layer, done: UnpackDone) -> None:
    """Raises Upstream when it is not what the manifest and the configuration say."""
    if (done.raw_digest, done.raw_size) != (layer.digest, layer.size):
        raise Upstream(
            f"filesystem layer verification failed for digest {layer.digest}: "
            f"what came is {done.raw_digest} of {done.raw_size} bytes"
        )
    if done.diff_id != layer.diff_id:
        raise Upstream(
            f"layers from manifest don't match image configuration: layer {layer.digest} is {done.diff_id} unpacked, "
            f"not {layer.diff_id}"
        )
