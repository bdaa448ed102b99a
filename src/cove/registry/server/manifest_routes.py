"""Manifests: read, put, remove (distribution-spec 1.1: end-3, 7, 9)."""

import asyncio

from aiohttp import web

from cove.digest import Digest
from cove.registry.server import names
from cove.registry.server.contents import Contents
from cove.registry.server.failures import (
    DIGEST_INVALID,
    MANIFEST_TOO_LARGE,
    MANIFEST_UNKNOWN,
    NAME_UNKNOWN,
    TAG_INVALID,
    RegistryError,
)
from cove.registry.server.files import Files
from cove.registry.server.index import Index, Manifest
from cove.registry.server.request import HEADERS, Request, empty
from cove.registry.server.routing import NAME, Route
from cove.registry.server.settings import MANIFEST_LIMIT

SHA256 = "sha256"
"""The algorithm of the digest of what is put by a tag."""


class ManifestRoutes:
    def __init__(self, index: Index, files: Files, contents: Contents) -> None:
        self._index = index
        self._files = files
        self._contents = contents

    def table(self) -> list[Route]:
        pattern = rf"{NAME}/manifests/(?P<reference>[^/]+)"
        return [
            Route(("GET", "HEAD"), pattern, self.get),
            Route(("PUT",), pattern, self.put),
            Route(("DELETE",), pattern, self.remove),
        ]

    async def get(self, request: Request) -> web.StreamResponse:
        manifest = self._found(request["name"], request["reference"])
        tag = f'"{manifest.digest}"'
        headers = {
            **HEADERS,
            "Content-Type": manifest.media_type,
            "Docker-Content-Digest": manifest.digest,
            "ETag": tag,
        }
        if request.raw.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        path = self._files.path(Digest.parse(manifest.digest))
        return web.Response(body=await asyncio.to_thread(path.read_bytes), headers=headers)

    async def put(self, request: Request) -> web.StreamResponse:
        reference, tag = request["reference"], ""
        if names.is_tag(reference):
            tag = reference
        elif ":" not in reference:
            raise RegistryError(TAG_INVALID, {"tag": reference})
        content = await _limited(request)
        algorithm = _check_digest(content, reference) if not tag else SHA256
        manifest = await self._contents.put(request["name"], content, request.content_type, tag, algorithm)
        location = f"/v2/{request['name']}/manifests/{reference}"
        headers = {"Location": location, "Docker-Content-Digest": manifest.digest}
        if manifest.subject:
            headers["OCI-Subject"] = manifest.subject
        return empty(201, headers)

    async def remove(self, request: Request) -> web.StreamResponse:
        """By a tag only the tag; by digest the manifest with all its tags."""
        name, reference = request["name"], request["reference"]
        if ":" in reference:
            await self._contents.remove_manifest(name, names.digest(reference))
        elif not await self._index.untag(name, reference):
            raise self._unknown(name, reference)
        return empty(202, {})

    def _found(self, name: str, reference: str) -> Manifest:
        if ":" in reference:
            found = self._index.manifest(name, str(names.digest(reference)))
        else:
            found = self._index.tagged(name, reference)
        if found is None:
            raise self._unknown(name, reference)
        return found

    def _unknown(self, name: str, reference: str) -> RegistryError:
        if not self._index.knows(name):
            return RegistryError(NAME_UNKNOWN, {"name": name})
        return RegistryError(MANIFEST_UNKNOWN, {"reference": reference})


async def _limited(request: Request) -> bytes:
    """The body. Raises RegistryError past the limit, before more than that is read."""
    if (request.raw.content_length or 0) > MANIFEST_LIMIT:
        raise RegistryError(MANIFEST_TOO_LARGE, {"limit": MANIFEST_LIMIT})
    content = bytearray()
    while piece := await request.body.readany():
        content += piece
        if len(content) > MANIFEST_LIMIT:
            raise RegistryError(MANIFEST_TOO_LARGE, {"limit": MANIFEST_LIMIT})
    return bytes(content)


def _check_digest(content: bytes, reference: str) -> str:
    """The algorithm of the digest that a manifest is put by. Raises RegistryError when it is another's."""
    digest = names.digest(reference)
    found = Digest.of(content, digest.algorithm)
    if found != digest:
        raise RegistryError(DIGEST_INVALID, {"digest": str(digest), "found": str(found)})
    return digest.algorithm
