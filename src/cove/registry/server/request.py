"""A request as handlers see it, and the answers that they give."""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import StreamReader, web

from cove import __version__
from cove.registry.server.failures import PAGINATION_NUMBER_INVALID, RANGE_INVALID, RegistryError

PAGE_LIMIT = 10_000
"""Names in one answer; with more of them there is a Link to the next page."""

HEADERS: Mapping[str, str] = {
    "Docker-Distribution-API-Version": "registry/2.0",
    "Server": f"Cove/{__version__}",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer."""


class Request:
    """``variables``: what the route's pattern found in the path, checked."""

    def __init__(self, raw: web.BaseRequest, variables: dict[str, str]) -> None:
        self.raw = raw
        self._variables = variables

    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    @property
    def body(self) -> StreamReader:
        return self.raw.content

    @property
    def content_type(self) -> str:
        return self.raw.headers.get("Content-Type", "")

    def query(self, name: str) -> str:
        """The first value of a parameter, or ""."""
        return self.raw.query.get(name, "")

    def page(self) -> tuple[str, int]:
        """``last`` and ``n``. Raises RegistryError for what is no number, or is below zero."""
        text = self.query("n")
        if not text:
            return self.query("last"), PAGE_LIMIT
        if not text.isascii() or not text.isdigit():
            raise RegistryError(PAGINATION_NUMBER_INVALID, {"n": text[:100]})
        return self.query("last"), min(int(text[:9]), PAGE_LIMIT)

    def first_byte(self) -> int | None:
        """Where a chunk begins (``Content-Range: first-last``); None when it does not say.

        Raises RegistryError for what is no range, and for one that is not as long as the body.
        """
        text = self.raw.headers.get("Content-Range", "").removeprefix("bytes").strip(" =")
        if not text:
            return None
        first, dash, last = text.partition("/")[0].partition("-")
        if not (dash and first.isascii() and last.isascii() and first.isdigit() and last.isdigit()):
            raise RegistryError(RANGE_INVALID, {"range": text[:100]})
        length = self.raw.content_length
        if length is not None and int(last) - int(first) + 1 != length:
            raise RegistryError(RANGE_INVALID, {"range": text[:100], "length": length})
        return int(first)


def empty(status: int, headers: Mapping[str, str]) -> web.Response:
    """No body."""
    return web.Response(status=status, headers={**HEADERS, **headers})


def document(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None, media_type: str = "application/json"
) -> web.Response:
    """JSON."""
    merged = {**HEADERS, "Content-Type": media_type, **(headers or {})}
    return web.Response(body=msgspec.json.encode(value), status=status, headers=merged)
