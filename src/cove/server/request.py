"""One API request: its version, path parameters, query and body, read as Docker reads them."""

import base64
import binascii
from collections.abc import AsyncIterator
from typing import Protocol, TypeVar
from urllib.parse import parse_qs

from aiohttp import web

from cove.errors import Cancelled, InvalidArgument
from cove.filters import Filters
from cove.server.connection import Connection
from cove.server.guard import Guard
from cove.server.lifespan import Lifespan
from cove.units import parse_moment
from cove.wire.base import Wire
from cove.wire.coding import decode
from cove.wire.images import AuthConfig
from cove.wire.versions import ApiVersion

JSON = "application/json"

MAX_JSON = 4 << 20
"""Bytes of a JSON body."""

CHUNK = 256 << 10
"""Bytes, about, of one piece of a streamed body."""

T = TypeVar("T", bound=Wire)

_FALSE = frozenset({"", "0", "no", "false", "none"})


class Asked(Protocol):
    """What plug-ins were asked about. ``body``: all of the request's, where it is JSON."""

    body: bytes | None


class Request:
    """``number`` tells requests apart in the logs. Every reader of a parameter raises InvalidArgument naming it."""

    __slots__ = (
        "_query",
        "asked",
        "guard",
        "lifespan",
        "number",
        "path",
        "query_string",
        "raw",
        "variables",
        "version",
    )

    def __init__(
        self, raw: web.BaseRequest, lifespan: Lifespan, number: int, version: ApiVersion, path: str, query: str
    ) -> None:
        self.raw = raw
        self.lifespan = lifespan
        self.number = number
        self.version = version
        self.path = path
        self.query_string = query
        self.variables: dict[str, str] = {}
        self.guard: Guard | None = None
        """What holds it to a scope, when it came by a scoped socket."""
        self.asked: Asked | None = None
        """What authorization plug-ins have seen of it and allowed, where there are any."""
        self._query: dict[str, list[str]] | None = None

    @property
    def method(self) -> str:
        return self.raw.method

    @property
    def connection(self) -> Connection:
        protocol = self.raw.protocol
        assert isinstance(protocol, Connection)
        return protocol

    def variable(self, name: str) -> str:
        """A part of the path."""
        return self.variables[name]

    def texts(self, name: str) -> list[str]:
        """All values of a query parameter."""
        if self._query is None:
            try:
                self._query = parse_qs(self.query_string, keep_blank_values=True, max_num_fields=1000)
            except ValueError as error:
                raise InvalidArgument(f"invalid query: {error}") from error
        return self._query.get(name, [])

    def settle(self, name: str, value: str) -> None:
        """From now on a query parameter is this one value."""
        self.texts(name)
        assert self._query is not None
        self._query[name] = [value]

    def text(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.texts(name)
        return values[0] if values else default

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean parameter: false when it is empty, 0, no, false or none."""
        values = self.texts(name)
        return values[0].strip().lower() not in _FALSE if values else default

    def integer(self, name: str, default: int = 0) -> int:
        """A number; ``default`` when it is absent or empty."""
        value = self.text(name)
        return _integer(name, value) if value else default

    def optional_integer(self, name: str) -> int | None:
        """A number, or None when it is absent or empty."""
        value = self.text(name)
        return _integer(name, value) if value else None

    def moment(self, name: str) -> int:
        """A time in nanoseconds since the epoch; 0 when it is absent."""
        value = self.text(name)
        if value in ("", "0"):
            return 0
        try:
            return parse_moment(value)
        except InvalidArgument as error:
            raise InvalidArgument(f"invalid value for {name}: {error.message}") from error

    def optional_moment(self, name: str) -> int | None:
        """A time in nanoseconds since the epoch; None when it is absent or empty. 0 is the epoch."""
        return (0 if self.text(name) == "0" else self.moment(name)) if self.text(name) else None

    def filters(self) -> Filters:
        asked = Filters.parse(self.text("filters"))
        return self.guard.narrow(asked) if self.guard else asked

    def registry_auth(self, name: str = "X-Registry-Auth") -> AuthConfig | None:
        """The credentials in a header: base64url of JSON. What cannot be read is none, as with Docker."""
        header = self.raw.headers.get(name, "")
        if not header:
            return None
        try:
            return decode(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)), AuthConfig)
        except (binascii.Error, ValueError, InvalidArgument):
            return None

    async def json(self, kind: type[T]) -> T:
        """The JSON body; all defaults when there is none."""
        return self.decoded(await self.body() or b"{}", kind)

    def decoded(self, body: bytes, kind: type[T]) -> T:
        """A JSON body, which the scope of the socket allows."""
        made = decode(body, kind, self.version)
        if self.guard:
            self.guard.inspect(made)
        return made

    async def body(self) -> bytes:
        """The whole JSON body. Raises InvalidArgument when it is of another type, or too large.

        One without a type is taken for JSON, unless plug-ins were asked: they have not seen it.
        """
        if self.asked is not None and self.asked.body is not None:
            return self.asked.body
        if self.raw.content_length == 0 or not self.raw.can_read_body:
            return b""
        given = self.raw.headers.get("Content-Type", "")
        if (given or self.asked is not None) and self.raw.content_type != JSON:
            kind = self.raw.content_type if given else ""
            raise InvalidArgument(f"unsupported Content-Type header ({kind}): must be '{JSON}'")
        return await whole(self.raw)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises Cancelled when the client goes away before its end."""
        if self.asked is not None and self.asked.body is not None:
            yield self.asked.body
            return
        async for chunk in _chunks(self.raw):
            yield chunk


async def whole(raw: web.BaseRequest) -> bytes:
    """A body of up to MAX_JSON bytes. Raises InvalidArgument when it has more, Cancelled as ``Request.chunks``."""
    if (raw.content_length or 0) > MAX_JSON:
        raise _too_large()
    body = bytearray()
    async for chunk in _chunks(raw):
        body += chunk
        if len(body) > MAX_JSON:
            raise _too_large()
    return bytes(body)


async def _chunks(raw: web.BaseRequest) -> AsyncIterator[bytes]:
    try:
        while chunk := await raw.content.readany():
            yield chunk
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Cancelled("the client closed the connection before the end of the body") from error


def _integer(name: str, value: str) -> int:
    if not value.lstrip("+-").isascii() or not value.lstrip("+-").isdigit() or len(value) > 20:
        raise InvalidArgument(f'invalid value for {name}: "{value[:40]}" is not a number')
    return int(value)


def _too_large() -> InvalidArgument:
    return InvalidArgument(f"the request body is larger than {MAX_JSON >> 20} MiB")
