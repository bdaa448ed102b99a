"""Uploads that are not finished: bytes that arrive in one request or in many, also after a restart.

An upload's state is the length of its file, so nothing has to be written down while bytes come. Its SHA-256 is
computed on the way; after a restart, or for another algorithm, the file is read once more at the end.
"""

import asyncio
import contextlib
import errno
import hashlib
import logging
import os
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol, TypeVar

from cove.digest import Digest
from cove.registry.server.contents import Contents
from cove.registry.server.failures import (
    BLOB_UPLOAD_UNKNOWN,
    DIGEST_INVALID,
    NO_SPACE,
    RANGE_INVALID,
    TOO_MANY_UPLOADS,
    RegistryError,
)
from cove.registry.server.files import Files
from cove.registry.server.settings import UPLOADS_LIMIT
from cove.store import Database, in_thread

T = TypeVar("T")

BATCH = 1 << 20
"""Bytes that are hashed and written at once, in a thread."""

IOV_LIMIT = 1024
"""Pieces of one writev(2) (IOV_MAX of limits.h)."""

SILENCE_SECONDS = 120.0
"""How long a client may send nothing in the middle of a body; then it may go on with another request."""

SWEEP_SECONDS = 600.0
"""How often uploads are looked for that were given up."""

log = logging.getLogger(__name__)


class Body(Protocol):
    """The body of a request. ``readany``: what has come; b"" at the end."""

    async def readany(self) -> bytes: ...


class Upload:
    """One upload. ``offset``: bytes that have come. ``written``: when the last did, in seconds since the epoch."""

    def __init__(self, identity: str, repository: str, path: Path) -> None:
        self.id = identity
        self.repository = repository
        self.path = path
        self.offset = path.stat().st_size
        self.written = path.stat().st_mtime
        self._checksum = None if self.offset else hashlib.sha256()
        self._lock = asyncio.Lock()
        self._writer: asyncio.Task[object] | None = None

    @property
    def location(self) -> str:
        """Where the client goes on."""
        return f"/v2/{self.repository}/blobs/uploads/{self.id}"

    @property
    def headers(self) -> dict[str, str]:
        """How far it is; an empty upload says ``0-0``, as Docker's registry does."""
        return {
            "Location": self.location,
            "Range": f"0-{max(self.offset - 1, 0)}",
            "Docker-Upload-UUID": self.id,
        }

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """One request writes at a time. A newer one ends an older, whose client has gone and tries again."""
        if self._writer is not None:
            self._writer.cancel()
        async with self._lock:
            yield

    @property
    def busy(self) -> bool:
        return self._lock.locked()

    async def append(self, body: Body) -> None:
        """Take the whole body. What came before an error or a cancellation counts."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._writer = asyncio.current_task()
        try:
            async for batch in _batches(body):
                await in_thread(self._write, descriptor, batch)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise RegistryError(NO_SPACE) from None
            raise
        finally:
            self._writer = None
            os.close(descriptor)

    async def digest(self, algorithm: str) -> str:
        """Of all that has come, in hex."""
        if algorithm == "sha256" and self._checksum is not None:
            return self._checksum.hexdigest()
        return await in_thread(_digest_of, self.path, algorithm)

    def _write(self, descriptor: int, batch: list[bytes]) -> None:
        try:
            for piece in batch:
                if self._checksum is not None:
                    self._checksum.update(piece)
            _write_all(descriptor, batch)
        except BaseException:
            self._checksum = None
            raise
        finally:
            self.offset = os.fstat(descriptor).st_size
            self.written = time.time()


class Uploads:
    """Every unfinished upload of a registry, in memory and as rows. Use from one event loop."""

    def __init__(self, database: Database, files: Files, contents: Contents, age: float) -> None:
        """``age``: seconds without a byte after which an upload is given up."""
        self._database = database
        self._files = files
        self._contents = contents
        self._age = age
        self._uploads: dict[str, Upload] = {}

    def open(self, rows: list[tuple[str, str]]) -> None:
        """Know again the uploads (id, repository) of the last run whose bytes are there. Only at start-up."""
        for identity, repository in rows:
            path = self._files.upload(identity)
            if path.exists():
                self._uploads[identity] = Upload(identity, repository, path)
            else:
                self._forget(identity)

    async def start(self, repository: str) -> Upload:
        """A new one, without bytes. Raises RegistryError when there are too many."""
        if len(self._uploads) >= UPLOADS_LIMIT:
            raise RegistryError(TOO_MANY_UPLOADS)
        identity = str(uuid.uuid4())
        path = self._files.upload(identity)
        try:
            await in_thread(path.touch, 0o600)
        except OSError as error:
            raise RegistryError(NO_SPACE) if error.errno in (errno.ENOSPC, errno.EDQUOT) else error from None
        upload = self._uploads[identity] = Upload(identity, repository, path)
        self._database.note(
            lambda connection: connection.execute("INSERT INTO uploads VALUES (?, ?)", (identity, repository))
        )
        return upload

    def find(self, repository: str, identity: str) -> Upload:
        """Raises RegistryError when there is none, or it is another repository's."""
        upload = self._uploads.get(identity)
        if upload is None or upload.repository != repository:
            raise RegistryError(BLOB_UPLOAD_UNKNOWN, {"upload": identity})
        return upload

    async def append(self, upload: Upload, body: Body, first: int | None = None) -> None:
        """Take a body. ``first``: where the client says that it begins. Raises RegistryError when that is elsewhere."""
        async with upload.writing():
            self._check_alive(upload)
            _check_order(upload, first)
            await upload.append(body)

    async def finish(self, upload: Upload, body: Body, digest: Digest, first: int | None = None) -> None:
        """Take a last body, which may be empty, and make a blob of it all.

        Raises RegistryError when it is not ``digest``; the upload is over then, as its bytes are wrong.
        """
        async with upload.writing():
            self._check_alive(upload)
            _check_order(upload, first)
            await upload.append(body)
            found = await upload.digest(digest.algorithm)
            if found != digest.hex:
                await self._drop(upload)
                raise RegistryError(DIGEST_INVALID, {"digest": str(digest), "found": f"{digest.algorithm}:{found}"})
            await self._contents.adopt(upload.repository, upload.path, digest, upload.offset, upload.id)
            self._uploads.pop(upload.id, None)

    async def cancel(self, upload: Upload) -> None:
        """The client does not want it any more."""
        async with upload.writing():
            await self._drop(upload)

    async def sweep(self) -> None:
        """Drop the uploads that had no byte for too long."""
        given_up = time.time() - self._age
        for upload in list(self._uploads.values()):
            if upload.written < given_up and not upload.busy:
                log.info("upload %s of %s was given up: removed", upload.id, upload.repository)
                await self._drop(upload)

    async def keep_sweeping(self) -> None:
        """Sweep now and then, for ever."""
        while True:
            await self.sweep()
            await asyncio.sleep(min(SWEEP_SECONDS, max(self._age, 1.0)))

    async def _drop(self, upload: Upload) -> None:
        self._uploads.pop(upload.id, None)
        await in_thread(self._files.discard, upload.path)
        self._forget(upload.id)

    def _forget(self, identity: str) -> None:
        def change(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM uploads WHERE id = ?", (identity,))

        self._database.note(change)

    def _check_alive(self, upload: Upload) -> None:
        """It may have ended while another request of it was waited for."""
        self.find(upload.repository, upload.id)


def _check_order(upload: Upload, first: int | None) -> None:
    if first is not None and first != upload.offset:
        raise RegistryError(RANGE_INVALID, {"expected": upload.offset, "got": first}, upload.headers)


async def _batches(body: Body) -> AsyncIterator[list[bytes]]:
    """The body in lists of pieces, each about BATCH bytes; also of a body that breaks off all that came."""
    batch, size = list[bytes](), 0
    broken: Exception | None = None
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                piece = await body.readany()
        except TimeoutError:
            broken, piece = ConnectionAbortedError("the client fell silent"), b""
        except Exception as error:  # a client that went away: keep what it sent
            broken, piece = error, b""
        if piece:
            batch.append(piece)
            size += len(piece)
        if batch and (not piece or size >= BATCH or len(batch) == IOV_LIMIT):
            yield batch
            batch, size = [], 0
        if broken is not None:
            raise broken
        if not piece:
            return


def _write_all(descriptor: int, batch: list[bytes]) -> None:
    left = [memoryview(piece) for piece in batch]
    while left:
        written = os.writev(descriptor, left)
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]


def _digest_of(path: Path, algorithm: str) -> str:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
