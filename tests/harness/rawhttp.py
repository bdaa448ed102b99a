"""Plain HTTP over the engine's unix socket, for what no client sends and for looking at what it answers."""

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Response(NamedTuple):
    """One answer of the engine."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def request(
    path: Path,
    method: str,
    target: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    timeout: float = 30,
) -> Response:
    """Send one request and read its whole answer. A ``body`` that is not bytes travels as JSON."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    connection = _UnixConnection(path, timeout)
    try:
        connection.request(method, target, body=body, headers=headers)
        answer = connection.getresponse()
        return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


@contextlib.contextmanager
def sent(path: Path, method: str, target: str, timeout: float = 30) -> Iterator[None]:
    """A request whose answer is not waited for."""
    connection = _UnixConnection(path, timeout)
    try:
        connection.request(method, target)
        yield
    finally:
        connection.close()


@contextlib.contextmanager
def opened(path: Path, method: str, target: str, timeout: float = 30) -> Iterator[http.client.HTTPResponse]:
    """An answer whose head has come: the engine is at work on what its body will say."""
    connection = _UnixConnection(path, timeout)
    try:
        connection.request(method, target)
        yield connection.getresponse()
    finally:
        connection.close()
