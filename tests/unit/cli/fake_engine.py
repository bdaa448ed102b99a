"""An engine that is only a socket: it records each request, and answers from a table of canned responses.

Both command lines can be pointed at it, so that what they send can be compared byte for byte.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

IDENTITY = "c0" * 32


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path without its version and query."""
        path = self.target.partition("?")[0]
        return path[path.index("/", 1) :] if path.startswith("/v1.") else path

    def json(self) -> object:
        return json.loads(self.body) if self.body else None


@dataclass
class Reply:
    status: int = 200
    body: object = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def encode(self, version: str, head: bool) -> bytes:
        payload = self.raw if self.raw is not None else b"" if self.body is None else json.dumps(self.body).encode()
        lines = [f"HTTP/1.1 {self.status} X", f"Api-Version: {version}", "Ostype: linux"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.status not in (101, 204, 304):
            lines.append(f"Content-Length: {len(payload)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if head else payload)


Answer = Reply | Callable[[Request], Reply]

DEFAULTS: dict[str, Answer] = {
    "HEAD /_ping": Reply(),
    "GET /_ping": Reply(raw=b"OK"),
    "POST /containers/create": Reply(201, {"Id": IDENTITY, "Warnings": []}),
    f"POST /containers/{IDENTITY}/start": Reply(204),
    f"POST /containers/{IDENTITY}/wait": Reply(200, {"StatusCode": 0}),
}


class FakeEngine:
    """A context manager; ``host`` is where to point a client, ``requests`` what arrived, ``answers`` the table."""

    def __init__(self, directory: Path, version: str = "1.51", answers: dict[str, Answer] | None = None) -> None:
        self.socket_path = directory / "engine.sock"
        self.host = f"unix://{self.socket_path}"
        self.version = version
        self.answers = {**DEFAULTS, **(answers or {})}
        self.requests: list[Request] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> FakeEngine:
        self._listener.bind(str(self.socket_path))
        self._listener.listen()
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def sent(self, method: str, path: str) -> Request:
        """The last request of that method and path."""
        return next(found for found in reversed(self.requests) if (found.method, found.path) == (method, path))

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            try:
                while request := _read_request(reader):
                    self.requests.append(request)
                    reply = self._reply(request)
                    connection.sendall(reply.encode(self.version, request.method == "HEAD"))
                    if reply.status == 101:
                        return
            except OSError:
                return

    def _reply(self, request: Request) -> Reply:
        asked = request.target.split("/")[1].removeprefix("v")
        if request.target.startswith("/v1.") and tuple(map(int, asked.split("."))) > tuple(
            map(int, self.version.split("."))
        ):
            text = f"client version {asked} is too new. Maximum supported API version is {self.version}"
            return Reply(400, {"message": text})
        answer = self.answers.get(f"{request.method} {request.path}")
        if answer is None:
            return Reply(404, {"message": f"page not found: {request.method} {request.path}"})
        return answer(request) if callable(answer) else answer


def _read_request(reader: object) -> Request | None:
    first = reader.readline().decode().split()  # type: ignore[attr-defined]
    if not first:
        return None
    headers: dict[str, str] = {}
    while line := reader.readline().decode().strip():  # type: ignore[attr-defined]
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(reader.readline().strip() or b"0", 16):  # type: ignore[attr-defined]
            body += reader.read(size)  # type: ignore[attr-defined]
            reader.readline()  # type: ignore[attr-defined]
        reader.readline()  # type: ignore[attr-defined]
    else:
        body = reader.read(int(headers.get("content-length", 0)))  # type: ignore[attr-defined]
    return Request(first[0], first[1], headers, body)
