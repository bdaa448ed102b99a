"""The image service: what the engine calls.

Look-ups are answered from memory, at once; what changes something is a coroutine, done when it is on disk.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from cove.content import Blobs
from cove.images.records import Deleted, HistoryItem, Image, Loaded, LoadProgress, Pruned, Untagged, Use
from cove.layers import Layers, Worker
from cove.oci.image import Descriptor
from cove.platform import Platform
from cove.reference import Reference
from cove.store import Database

InUse = Callable[[str], Sequence[Use]]
"""The containers that use an image, by image id."""


class Images:
    """The images of one data root. ``await open()`` first, ``await close()`` at the end; one event loop."""

    blobs: Blobs
    layers: Layers

    def __init__(self, database: Database, data_root: Path, worker: Worker) -> None: ...

    async def open(self) -> None:
        """Read the rows and collect what a stopped daemon left half-made. Before any ``database.run``."""

    async def close(self) -> None:
        """Stop what is under way."""

    def resolve(self, name: str) -> Image:
        """The image for an id, a unique prefix of one, ``repo``, ``repo:tag`` or ``repo@digest``.

        Raises NotFound (``No such image: x:latest``) and InvalidArgument, in Docker's words.
        """
        raise NotImplementedError

    def get(self, image_id: str) -> Image:
        """The image of a full id, hidden ones too. Raises NotFound."""
        raise NotImplementedError

    def references(self, image_id: str) -> list[Reference]:
        """The names of an image, those with a tag before those with a digest."""
        raise NotImplementedError

    def list(self, filters: Mapping[str, Sequence[str]] | None = None, all_: bool = False) -> list[Image]:
        """Images that pass every filter, newest first.

        Filters: dangling, label, before, since, reference, until. Raises InvalidArgument naming a bad one.
        """
        raise NotImplementedError

    def history(self, image: Image) -> "list[HistoryItem]":
        """How the image was made, newest step first."""
        raise NotImplementedError

    async def lower_directories(self, image_id: str) -> "list[Path]":
        """The unpacked layers, uppermost first: the ``lowerdir`` of a container. Hidden images too."""
        raise NotImplementedError

    def hold(self, image_id: str) -> AbstractContextManager[None]:
        """While held, the image's layers stay on disk, also before the container's row is written."""
        raise NotImplementedError

    async def released(self, image_id: str) -> None:
        """To be called when a container of this image is gone: collects the image if it was only kept for it."""

    async def tag(self, image: Image, reference: Reference) -> None:
        """Name the image; a name that another image has is moved. Raises InvalidArgument for a digest reference."""

    async def remove(self, name: str, *, force: bool, prune: bool, in_use: InUse) -> "list[Untagged | Deleted]":
        """Remove a name, or the image, by Docker's rules.

        Raises Conflict in Docker's words, NotFound.
        """
        raise NotImplementedError

    async def prune(self, filters: Mapping[str, Sequence[str]], in_use: InUse) -> Pruned:
        """Remove unused images: those without a name, or with ``dangling=false`` all that no container uses.

        Filters: dangling, until, label, label!.
        """
        raise NotImplementedError

    def load(
        self, chunks: AsyncIterator[bytes], platform: Platform | None = None
    ) -> AsyncIterator[LoadProgress | Loaded]:
        """Take in a ``docker save`` or OCI archive, compressed or not.

        Nothing is visible until the first ``Loaded``; raises InvalidArgument for what is no such archive or does not
        match its digests.
        """
        raise NotImplementedError

    def save(self, names: Iterable[str]) -> AsyncIterator[bytes]:
        """A tar with these images that is an OCI layout and has Docker's ``manifest.json``. Raises NotFound at once."""
        raise NotImplementedError

    async def import_(
        self,
        chunks: AsyncIterator[bytes],
        *,
        reference: Reference | None = None,
        message: str = "",
        changes: Sequence[str] = (),
        platform: Platform | None = None,
        source: str = "-",
    ) -> Image:
        """Make an image of one layer from a tar, compressed or not. ``changes``: Dockerfile lines (CMD, ENV, …).

        Raises InvalidArgument naming the bad change or tar entry.
        """
        raise NotImplementedError

    async def add(
        self, config: bytes, manifest: bytes, layers: Sequence[Descriptor], references: Iterable[Reference]
    ) -> Image:
        """Make an image of blobs that are in ``blobs`` already (a pull, a build): unpacks what is new, then names it."""
        raise NotImplementedError
