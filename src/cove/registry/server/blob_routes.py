"""Blobs: read, remove, upload, mount (distribution-spec 1.1: end-2, 4, 5, 6, 10, 11)."""

from aiohttp import web

from cove.digest import Digest
from cove.registry.server import names
from cove.registry.server.contents import Contents
from cove.registry.server.failures import BLOB_UNKNOWN, DIGEST_INVALID, RegistryError
from cove.registry.server.files import Files
from cove.registry.server.index import Index
from cove.registry.server.request import HEADERS, Request, empty
from cove.registry.server.routing import NAME, Route
from cove.registry.server.uploads import Uploads

CHUNK = 1 << 20
"""Bytes read at once where the kernel cannot send the file by itself, as with TLS."""


class BlobRoutes:
    def __init__(self, index: Index, files: Files, contents: Contents, uploads: Uploads) -> None:
        self._index = index
        self._files = files
        self._contents = contents
        self._uploads = uploads

    def table(self) -> list[Route]:
        blob = rf"{NAME}/blobs/(?P<digest>[^/]+)"
        upload = rf"{NAME}/blobs/uploads/(?P<upload>[^/]+)"
        return [
            Route(("POST",), rf"{NAME}/blobs/uploads/?", self.start),
            Route(("GET",), upload, self.progress),
            Route(("PATCH",), upload, self.append),
            Route(("PUT",), upload, self.finish),
            Route(("DELETE",), upload, self.cancel),
            Route(("GET", "HEAD"), blob, self.get),
            Route(("DELETE",), blob, self.remove),
        ]

    async def get(self, request: Request) -> web.StreamResponse:
        """The bytes, or a range of them. The kernel sends the file."""
        digest = names.digest(request["digest"])
        if self._index.blob(request["name"], str(digest)) is None:
            raise RegistryError(BLOB_UNKNOWN, {"digest": str(digest)})
        headers = {
            **HEADERS,
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": str(digest),
            "Cache-Control": "max-age=31536000",
        }
        return web.FileResponse(self._files.path(digest), chunk_size=CHUNK, headers=headers)

    async def remove(self, request: Request) -> web.StreamResponse:
        digest = names.digest(request["digest"])
        await self._contents.remove_blob(request["name"], digest)
        return empty(202, {"Docker-Content-Digest": str(digest)})

    async def start(self, request: Request) -> web.StreamResponse:
        """A new upload; with ``mount`` a blob that is here already; with ``digest`` all in this one request."""
        if (text := request.query("mount")) and await self._mounted(request, names.digest(text)):
            return _created(request["name"], names.digest(text))
        digest = names.digest(request.query("digest")) if request.query("digest") else None
        upload = await self._uploads.start(request["name"])
        if digest is None:
            return empty(202, upload.headers)
        try:
            await self._uploads.finish(upload, request.body, digest)
        except BaseException:
            await self._uploads.cancel(upload)
            raise
        return _created(request["name"], digest)

    async def progress(self, request: Request) -> web.StreamResponse:
        upload = self._uploads.find(request["name"], request["upload"])
        return empty(204, upload.headers)

    async def append(self, request: Request) -> web.StreamResponse:
        upload = self._uploads.find(request["name"], request["upload"])
        await self._uploads.append(upload, request.body, request.first_byte())
        return empty(202, upload.headers)

    async def finish(self, request: Request) -> web.StreamResponse:
        upload = self._uploads.find(request["name"], request["upload"])
        if not request.query("digest"):
            raise RegistryError(DIGEST_INVALID, {"reason": "digest is missing"})
        digest = names.digest(request.query("digest"))
        await self._uploads.finish(upload, request.body, digest, request.first_byte())
        return _created(request["name"], digest)

    async def cancel(self, request: Request) -> web.StreamResponse:
        upload = self._uploads.find(request["name"], request["upload"])
        await self._uploads.cancel(upload)
        return empty(204, {"Docker-Upload-UUID": upload.id})

    async def _mounted(self, request: Request, digest: Digest) -> bool:
        """Whether the blob is the repository's now. Without ``from`` any repository will do, as all have one reader."""
        source = request.query("from") or self._index.source(str(digest)) or ""
        return bool(source) and await self._index.mount(request["name"], source, str(digest))


def _created(repository: str, digest: Digest) -> web.Response:
    location = f"/v2/{repository}/blobs/{digest}"
    return empty(201, {"Location": location, "Docker-Content-Digest": str(digest)})
