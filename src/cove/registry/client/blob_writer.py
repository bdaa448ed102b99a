"""Blobs on their way up: looked for first, mounted from a neighbour, and resumed where they broke off."""

import random
from collections.abc import AsyncGenerator, Callable
from urllib.parse import urljoin

import aiohttp

from cove.errors import CoveError
from cove.oci.image import Descriptor
from cove.registry.client import retrying
from cove.registry.client.failures import RegistryError, Unreachable
from cove.registry.client.session import Request, Session

SMALL = 1 << 20
"""Bytes up to which a blob goes up in one request."""

Source = Callable[[int], AsyncGenerator[bytes, None]]
"""The bytes of a blob from an offset on."""


class BlobWriter:
    """``path``: of the repository that blobs are brought to."""

    def __init__(self, session: Session, path: str) -> None:
        self._session = session
        self._path = path
        self._scopes = (f"repository:{path}:pull,push",)

    async def has(self, digest: str) -> bool:
        """Whether the repository has a blob. Raises RegistryError, Unreachable."""
        request = Request("HEAD", f"{self._path}/blobs/{digest}", self._scopes, accept=(200, 404))
        async with self._session.request(request) as response:
            return response.status == 200

    async def mount(self, digest: str, source: str) -> bool:
        """Have the registry take a blob from another repository of it, without sending it; whether it did."""
        scopes = (*self._scopes, f"repository:{source}:pull")
        query = [("mount", digest), ("from", source)]
        request = Request("POST", f"{self._path}/blobs/uploads/", scopes, query=query, accept=(201, 202))
        try:
            async with self._session.request(request) as response:
                mounted = response.status == 201
                upload = "" if mounted else _location(response)
        except RegistryError:
            return False
        if upload:
            await self._give_up(upload)
        return mounted

    async def upload(self, blob: Descriptor, source: Source) -> None:
        """Bring a blob to the repository. Raises RegistryError, Unreachable after as many attempts as there may be."""
        location, offset, failed = await self._begin(), 0, 0
        while True:
            try:
                await self._send(blob, source, location, offset)
                return
            except (Unreachable, RegistryError) as error:
                failed += 1
                if failed >= self._session.registries.attempts or not _may_do_better(error):
                    await self._give_up(location)
                    raise
                wait = retrying.wait_of(error)
            await retrying.pause(failed, wait, self._session.registries.patience, random.random())
            location, offset = await self._resumed(location)

    async def _begin(self) -> str:
        request = Request("POST", f"{self._path}/blobs/uploads/", self._scopes, accept=(202,))
        async with self._session.request(request) as response:
            return _location(response)

    async def _send(self, blob: Descriptor, source: Source, location: str, offset: int) -> None:
        """What is left of the blob, and then its digest; both in one request where it is small."""
        if blob.size - offset > SMALL:
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size - offset)}
            if offset:
                headers["Content-Range"] = f"{offset}-{blob.size - 1}"
            request = Request(
                "PATCH", location, self._scopes, headers, body=lambda: source(offset), accept=(202, 204), once=True
            )
            async with self._session.request(request) as response:
                location, offset = _location(response), blob.size
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size - offset)}
        body = (lambda: source(offset)) if offset < blob.size else None
        query = [("digest", blob.digest)]
        request = Request("PUT", location, self._scopes, headers, query, body, accept=(201, 204), once=True)
        async with self._session.request(request):
            pass

    async def _resumed(self, location: str) -> tuple[str, int]:
        """Where an upload goes on, and from which byte on; a new one when the registry has lost it."""
        request = Request("GET", location, self._scopes, accept=(204, 202, 200))
        try:
            async with self._session.request(request) as response:
                end = response.headers.get("Range", "").removeprefix("bytes=").rpartition("-")[2]
                offset = int(end) + 1 if end.isdigit() and end != "0" else 0
                return _location(response, location), offset
        except RegistryError:
            return await self._begin(), 0

    async def _give_up(self, location: str) -> None:
        """Let the registry remove what it holds of an upload; it does so by itself after a while."""
        try:
            async with self._session.request(Request("DELETE", location, self._scopes, accept=(204, 200), once=True)):
                pass
        except CoveError:
            pass


def _may_do_better(error: Unreachable | RegistryError) -> bool:
    """Also when the registry has lost the upload, or other bytes of it than we thought."""
    return retrying.may_pass(error) or (isinstance(error, RegistryError) and error.status in (404, 416))


def _location(response: aiohttp.ClientResponse, known: str = "") -> str:
    """The URL of an upload, which may be relative to the one asked. Raises RegistryError when there is none."""
    named = response.headers.get("Location", known)
    if not named:
        raise RegistryError(response.status, response.reason or "", "", "the registry does not say where to upload to")
    return urljoin(str(response.url), named)
