"""``Client``: requests to one daemon, with the API version agreed on and failures turned into ``cove.errors``.

The version is negotiated without a round trip of its own where possible: the first request is sent at our newest
version, and only when the daemon answers that this is too new is it repeated at the daemon's. A request whose body can
be sent only once asks ``/_ping`` first.
"""

from __future__ import annotations

import json

from cove import errors
from cove.client.http import BrokenAnswer, Reader, exchange, receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket as Socket
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from cove.client.http import Response
    from cove.client.transport import Endpoint

    Query = Mapping[str, str | int | bool | list[str] | None]

API_VERSION = "1.51"
OLDEST_VERSION = "1.24"

_KINDS: dict[int, type[errors.CoveError]] = {
    304: errors.NotModified,
    400: errors.InvalidArgument,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    501: errors.Unimplemented,
    503: errors.Unavailable,
}


class ConnectionFailed(errors.Unavailable):
    """Nobody answers at the endpoint: no socket, refused, no permission or no trust. ``reason`` is the OSError."""

    def __init__(self, host: str, reason: OSError) -> None:
        if isinstance(reason, PermissionError):
            message = f"permission denied while trying to connect to the Cove daemon socket at {host}"
        elif tls := getattr(reason, "reason", None):  # of an ssl.SSLError, whose module costs much to import
            words = str(tls).lower().replace("_", " ")
            message = f"error during connect: {host}: tls: {words} (see --tlscacert, --tlscert, --tlskey)"
        else:
            message = f"Cannot connect to the Cove daemon at {host}. Is it running? Start it with: cove daemon"
        super().__init__(message)
        self.host = host
        self.reason = reason


class Client:
    """One daemon. Not safe for use by several threads at once; open one client for each.

    ``version`` fixes the API version ("1.41"); without it the newest that both sides know is used.
    """

    def __init__(self, endpoint: Endpoint, version: str | None = None, user_agent: str = "cove") -> None:
        self.endpoint = endpoint
        self.version = version or API_VERSION
        self.server_version: str | None = None
        self._settled = version is not None
        self._headers = {"Host": endpoint.host, "User-Agent": user_agent}
        self._idle: Socket | None = None
        self._streams: list[Socket] = []

    # The three ways to use it: a JSON answer, a streamed answer, a connection of one's own.

    def json(self, method: str, path: str, query: Query | None = None, body: object = None) -> Any:
        """Send ``body`` as JSON and return the decoded answer, or None when there is none."""
        response = self.request(method, path, query, json_body(body))
        payload = response.read()
        self._recycle(response)
        return json.loads(payload) if payload else None

    def stream(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """Send a request and return the response with its body still to be read; ``close`` of either ends it."""
        response = self.request(method, path, query, body, headers)
        self._streams.append(response.reader.sock)
        return response

    def hijack(self, path: str, query: Query | None = None, body: object = None) -> tuple[Socket, bytes]:
        """POST, ask to take over the connection, and return the socket and the first bytes of the stream."""
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        response = self.request("POST", path, query, json_body(body), upgrade, fresh=True)
        self._streams.append(response.reader.sock)
        return response.hijack()

    def begin(self, method: str, path: str, query: Query | None = None) -> Pending:
        """Send a request on a connection of its own and come back at once; the answer is fetched when wanted."""
        self.negotiate()
        target = f"/v{self.version}{encode_target(path, query)}"
        try:
            sock = self.endpoint.connect()
            send(sock, method, target, self._headers)
        except OSError as error:
            raise ConnectionFailed(self.endpoint.url, error) from error
        return Pending(sock, method)

    def objects(self, method: str, path: str, query: Query | None = None, body: object = None) -> Iterator[Any]:
        """The JSON objects of a streamed answer, one per line, as they come."""
        for line in self.stream(method, path, query, json_body(body)).lines():
            if line.strip():
                yield json.loads(line)

    def items(self, method: str, path: str) -> Iterator[Any]:
        """What is in an answer that is one array, as it comes."""
        from cove.client.arrays import array_items

        return array_items(self.stream(method, path).pieces())

    def negotiate(self) -> None:
        """Agree on the API version now, with one ``/_ping``."""
        if self._settled:
            return
        response = self._send("HEAD", "/_ping", {}, None, fresh=False)
        response.read()
        self._recycle(response)
        self._settle(response.headers.get("api-version"))

    def request(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
        *,
        fresh: bool = False,
    ) -> Response:
        """Send a request at the agreed version. Raises a ``CoveError`` for a status of 400 or more, and for 304."""
        if body is not None and not isinstance(body, bytes):
            self.negotiate()
        extra = dict(headers or {})
        if isinstance(body, bytes):
            extra.setdefault("Content-Type", "application/json")
        target = encode_target(path, query)
        response = self._send(method, f"/v{self.version}{target}", extra, body, fresh)
        if response.status == 400 and not self._settled and self._settle(response.headers.get("api-version")):
            response.close()
            response = self._send(method, f"/v{self.version}{target}", extra, body, fresh)
        self.server_version = response.headers.get("api-version", self.server_version)
        if response.status < 400:
            self._settled = True
        if response.status >= 400 or response.status == 304:
            raise _failure(response)
        return response

    def close(self) -> None:
        """Close every connection, the streamed and hijacked ones too."""
        for sock in [*self._streams, *([self._idle] if self._idle else [])]:
            sock.close()
        self._streams.clear()
        self._idle = None

    def _send(
        self, method: str, target: str, headers: dict[str, str], body: bytes | Iterable[bytes] | None, fresh: bool
    ) -> Response:
        sock = None if fresh else self._idle
        if sock is not None:
            self._idle = None
            try:
                return exchange(sock, method, target, {**self._headers, **headers}, body)
            except (OSError, BrokenAnswer):
                sock.close()
                if method not in ("GET", "HEAD"):
                    raise
        try:
            sock = self.endpoint.connect()
            return exchange(sock, method, target, {**self._headers, **headers}, body)
        except OSError as error:
            raise ConnectionFailed(self.endpoint.url, error) from error

    def _settle(self, theirs: str | None) -> bool:
        """Step down to the daemon's version if it is older than ours; tell whether that changed anything."""
        self.server_version = theirs or self.server_version
        self._settled = True
        if theirs is None or parse_version(theirs) >= parse_version(self.version):
            return False
        self.version = theirs
        return True

    def _recycle(self, response: Response) -> None:
        """Keep the connection of an answer that was read to its end for the next request."""
        if response.reusable and self._idle is None:
            self._idle = response.reader.sock
        else:
            response.close()


class Pending:
    """A request that has been sent; ``fileno`` is readable when something of the answer has come."""

    def __init__(self, sock: Socket, method: str) -> None:
        self._sock = sock
        self._method = method
        self._reader = Reader(sock)
        self._response: Response | None = None

    def fileno(self) -> int:
        return self._sock.fileno()

    def accepted(self, seconds: float) -> bool:
        """Wait until the daemon has begun to answer: it has then taken note of the request."""
        if self._response is None and _readable(self._sock, seconds):
            self._response = receive(self._reader, self._method)
        return self._response is not None

    @property
    def buffered(self) -> bool:
        """Whether of the answer more than its head has been read: then ``fileno`` may never be readable again."""
        return bool(self._reader.pending)

    def json(self) -> Any:
        """The whole answer, waiting for it. Raises a ``CoveError`` when it is a failure."""
        response = self._response or receive(self._reader, self._method)
        if response.status >= 400:
            raise _failure(response)
        payload = response.read()
        self.close()
        return json.loads(payload) if payload else None

    def close(self) -> None:
        self._sock.close()


def _readable(sock: Socket, seconds: float) -> bool:
    import select

    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def parse_version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdecimal())


def json_body(body: object) -> bytes | None:
    return None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def encode_target(path: str, query: Query | None) -> str:
    """A request target with its query; None leaves a key out, booleans are 1 and 0, lists repeat the key."""
    parts = []
    for key, value in (query or {}).items():
        if value is None:
            continue
        for item in value if isinstance(value, list) else [value]:
            text = str(int(item)) if isinstance(item, bool) else str(item)
            parts.append(f"{key}={quote(text)}")
    return quote(path, safe="/:@") + ("?" + "&".join(parts) if parts else "")


def quote(text: str, safe: str = "") -> str:
    """Percent-encode what RFC 3986 does not leave unreserved. (urllib.parse costs 3 ms to import.)"""
    if text.isalnum() and text.isascii():
        return text
    keep = "-._~" + safe
    return "".join(
        char
        if char.isascii() and (char.isalnum() or char in keep)
        else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in text
    )


def _failure(response: Response) -> errors.CoveError:
    payload = response.read()
    response.close()
    try:
        message = str(json.loads(payload)["message"])
    except (ValueError, KeyError, TypeError):
        message = payload.decode("utf-8", "replace").strip() or f"{response.status} {response.reason}"
    return _KINDS.get(response.status, errors.Internal)(message)
