"""What there is: repositories, tags, referrers (distribution-spec 1.1: end-1, 8, 12; the catalog is Docker's)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from cove.oci.image import INDEX
from cove.registry.server import names
from cove.registry.server.failures import NAME_UNKNOWN, RegistryError
from cove.registry.server.index import Index, Manifest
from cove.registry.server.request import Request, document
from cove.registry.server.routing import NAME, Route
from cove.registry.server.settings import MANIFEST_LIMIT

REFERRERS_PAGE = 1000
"""Descriptors in one answer, if the answer does not get too large before."""


class ListingRoutes:
    def __init__(self, index: Index) -> None:
        self._index = index

    def table(self) -> list[Route]:
        return [
            Route(("GET", "HEAD"), "/v2/?", self.version),
            Route(("GET", "HEAD"), "/v2/_catalog", self.catalog),
            Route(("GET", "HEAD"), rf"{NAME}/tags/list", self.tags),
            Route(("GET", "HEAD"), rf"{NAME}/referrers/(?P<digest>[^/]+)", self.referrers),
        ]

    async def version(self, request: Request) -> web.StreamResponse:
        return document({})

    async def catalog(self, request: Request) -> web.StreamResponse:
        last, limit = request.page()
        shown, headers = _page(self._index.repositories(last, limit + 1), limit, "/v2/_catalog")
        return document({"repositories": shown}, headers=headers)

    async def tags(self, request: Request) -> web.StreamResponse:
        name = request["name"]
        if not self._index.knows(name):
            raise RegistryError(NAME_UNKNOWN, {"name": name})
        last, limit = request.page()
        shown, headers = _page(self._index.tags(name, last, limit + 1), limit, f"/v2/{name}/tags/list")
        return document({"name": name, "tags": shown}, headers=headers)

    async def referrers(self, request: Request) -> web.StreamResponse:
        """An index of the manifests whose subject this digest is; empty for a digest that nobody refers to."""
        name, digest = request["name"], str(names.digest(request["digest"]))
        wanted, last = request.query("artifactType"), request.query("last")
        found = self._index.referrers(name, digest, wanted, last, REFERRERS_PAGE + 1)
        shown = _fitting(found[:REFERRERS_PAGE])
        headers = {"OCI-Filters-Applied": "artifactType"} if wanted else {}
        if len(shown) < len(found):
            query = {"last": shown[-1]["digest"], **({"artifactType": wanted} if wanted else {})}
            headers["Link"] = _link(f"/v2/{name}/referrers/{digest}", query)
        body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": shown}
        return document(body, headers=headers, media_type=INDEX)


def _page(found: list[str], limit: int, path: str) -> tuple[list[str], dict[str, str]]:
    """Of one name more than was asked for: those that are shown, and where the others are."""
    shown = found[:limit]
    if len(found) > limit and shown:
        return shown, {"Link": _link(path, {"n": limit, "last": shown[-1]})}
    return shown, {}


def _link(path: str, query: Mapping[str, object]) -> str:
    return f'<{path}?{urlencode(query)}>; rel="next"'


def _fitting(manifests: list[Manifest]) -> list[dict[str, Any]]:
    """Their descriptors, as many as fit in a manifest; at least one."""
    shown: list[dict[str, Any]] = []
    room = MANIFEST_LIMIT
    for manifest in manifests:
        room -= 512 + sum(len(key) + len(value) + 8 for key, value in manifest.annotations.items())
        if shown and room < 0:
            break
        shown.append(_descriptor(manifest))
    return shown


def _descriptor(manifest: Manifest) -> dict[str, Any]:
    described: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": manifest.size,
    }
    if manifest.artifact_type:
        described["artifactType"] = manifest.artifact_type
    if manifest.annotations:
        described["annotations"] = manifest.annotations
    return described
