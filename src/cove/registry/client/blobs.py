"""Blobs of one repository on their way down: resumed where they broke off, never more than was announced."""

import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing

import aiohttp

from cove.digest import Digest
from cove.errors import CoveError, Upstream
from cove.oci.image import Descriptor
from cove.registry.client import retrying
from cove.registry.client.failures import RegistryError, Unreachable, request_words, unreachable
from cove.registry.client.session import Request, Session

PROGRESS = 1 << 20
"""Bytes after which an attempt counts as one that got somewhere."""
MOST_URLS = 8
"""Of a foreign layer that are tried."""
_FAILURES = (aiohttp.ClientError, TimeoutError, OSError)


class BlobReader:
    """``path``: of the repository."""

    def __init__(self, session: Session, path: str) -> None:
        self._session = session
        self._path = path
        self._scopes = (f"repository:{path}:pull",)

    async def stream(self, blob: Descriptor, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob from ``offset`` on: exactly as many as announced. Whoever reads them checks the digest.

        Raises Upstream when there are more, when they keep breaking off, or come too slowly; RegistryError.
        """
        failed, patience, sources = 0, self._session.registries.patience, self._sources(blob)
        while True:
            begun = offset
            try:
                async with aclosing(self._part(blob, sources, offset)) as pieces:
                    async for piece in pieces:
                        offset += len(piece)
                        yield piece
                if offset == blob.size:
                    return
                failure: CoveError = Upstream(f"blob {blob.digest}: unexpected end after {offset} of {blob.size} bytes")
            except (Unreachable, RegistryError) as error:
                if not retrying.may_pass(error):
                    raise
                failure = error
            failed = 1 if offset - begun >= PROGRESS else failed + 1
            if failed >= self._session.registries.attempts:
                raise failure
            await retrying.pause(failed, retrying.wait_of(failure), patience, random.random())

    async def _part(self, blob: Descriptor, sources: list[str], offset: int) -> AsyncGenerator[bytes, None]:
        """What is left of a blob from ``offset`` on, as far as one answer brings it."""
        async with AsyncExitStack() as stack:
            response = await self._answer(stack, sources, {"Range": f"bytes={offset}-"} if offset else {})
            skip = _check_part(response, blob, offset)
            seen = offset - skip
            async for piece in _paced(response, self._session):
                seen += len(piece)
                if seen > blob.size:
                    raise Upstream(f"blob {blob.digest}: more than the {blob.size} bytes announced")
                if skip:
                    skip, piece = max(skip - len(piece), 0), piece[skip:]
                if piece:
                    yield piece

    async def _answer(
        self, stack: AsyncExitStack, sources: list[str], headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """The answer of the first source that gives one. Those that do not are left out from then on, but for the last.

        One request for each: whoever asks for parts tries again.
        """
        while True:
            request = Request("GET", sources[0], self._scopes, headers, accept=(200, 206), once=True)
            try:
                return await stack.enter_async_context(self._session.request(request))
            except (RegistryError, Unreachable):
                if len(sources) == 1:
                    raise
                del sources[0]

    def _sources(self, blob: Descriptor) -> list[str]:
        """The registry, and for a foreign layer the URLs that the manifest names."""
        urls = [url for url in blob.urls if url.startswith(("https://", "http://"))] if blob.is_foreign else []
        return [f"{self._path}/blobs/{blob.digest}", *urls[:MOST_URLS]]


async def read_small(reader: BlobReader, blob: Descriptor, limit: int, what: str) -> bytes:
    """All bytes of a verified blob of at most ``limit`` bytes. Raises Upstream naming ``what`` it is."""
    if blob.size > limit:
        raise Upstream(f"{what} {blob.digest} is larger than {limit} bytes")
    found = bytearray()
    async with aclosing(reader.stream(blob)) as pieces:
        async for piece in pieces:
            found += piece
    digest = Digest.parse(blob.digest)
    checksum = digest.hash()
    checksum.update(bytes(found))
    if checksum.hexdigest() != digest.hex:
        raise Upstream(f"{what} verification failed for digest {blob.digest}")
    return bytes(found)


def _check_part(response: aiohttp.ClientResponse, blob: Descriptor, offset: int) -> int:
    """How many bytes of the answer are there already: a registry may give the whole blob again. Raises Upstream."""
    begins = 0
    if response.status == 206:
        text = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        if not text.isdigit() or int(text) != offset:
            raise Upstream(f"blob {blob.digest}: the registry's answer begins at {text!r}, not at {offset}")
        begins = offset
    length = response.content_length
    if length is not None and begins + length != blob.size:
        raise Upstream(f"blob {blob.digest}: {begins + length} bytes, {blob.size} were announced")
    return offset - begins


async def _paced(response: aiohttp.ClientResponse, session: Session) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Unreachable when it breaks off, Upstream when it only drips."""
    patience = session.registries.patience
    waited = received = 0.0
    words = request_words(response.method, str(response.url))
    try:
        while True:
            began = time.monotonic()
            piece = await response.content.readany()
            waited += time.monotonic() - began
            if not piece:
                return
            received += len(piece)
            if waited >= patience.window:
                if received < patience.rate * waited:
                    raise Upstream(f"{words}: {received:.0f} bytes in {waited:.0f} seconds are too few")
                waited = received = 0.0
            yield piece
    except _FAILURES as error:
        raise unreachable(response.method, str(response.url), error) from error
