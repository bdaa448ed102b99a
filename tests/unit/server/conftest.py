"""The real server over a fake engine, on a unix socket, in a thread of its own."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cove.server.app import Server, serve
from unit.server.fake_engine import Store, fake_services

PATIENCE = 10


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A raw socket, and just enough HTTP to read an answer."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.buffer = b""

    def close(self) -> None:
        self.socket.close()

    def send(self, method: str, path: str, body: bytes = b"", *headers: str, more: bytes = b"") -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: docker", *headers]
        if body:
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body + more)

    def end(self) -> None:
        """Close the sending side."""
        self.socket.shutdown(socket.SHUT_WR)

    def more(self) -> bytes:
        data = self.socket.recv(1 << 16)
        self.buffer += data
        return data

    def head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                raise EOFError(self.buffer)
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        return int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not self.more():
                raise EOFError(self.buffer)
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def rest(self) -> bytes:
        while self.more():
            pass
        return self.buffer

    def chunk(self) -> bytes:
        while not (size := re.match(rb"([0-9a-f]+)\r\n", self.buffer)):
            if not self.more():
                raise EOFError(self.buffer)
        self.buffer = self.buffer[size.end() :]
        return self.exactly(int(size[1], 16) + 2)[:-2]

    def answer(self, method: str = "GET") -> Answer:
        status, headers = self.head()
        if method == "HEAD":
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while piece := self.chunk():
                body += piece
            return Answer(status, headers, body)
        return Answer(status, headers, self.exactly(int(headers.get("content-length", 0))))


class Api:
    """A served API. ``call`` runs a coroutine function on the server's loop."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.url = f"unix://{path}"
        self.loop = asyncio.new_event_loop()
        self.problems: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.problems.append(context))
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.store: Store
        self.server: Server
        self.call(self._serve)

    async def _serve(self) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen()
        self.store = Store()
        self.server = await serve(fake_services(self.store), [listener])

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(function(*arguments), self.loop).result(PATIENCE)

    def stop(self) -> None:
        self.call(self.server.stop, 1)
        self.call(self._end_programs)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def _end_programs(self) -> None:
        for task in list(self.store.tasks):
            task.cancel()
        for container in self.store.containers.values():
            for one in container.process.attached:
                one.close()
        for _ in range(3):
            await asyncio.sleep(0)

    def client(self) -> "closing[Client]":
        return closing(Client(self.path))

    def request(self, method: str, path: str, body: object = b"", *headers: str) -> Answer:
        """One request on a connection of its own. ``body``: bytes, or what JSON can show."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with self.client() as client:
            client.send(method, path, data, *headers)
            return client.answer(method)

    def run(self, *command: str, start: bool = True, **config: Any) -> str:
        """A container of the fake engine; its id."""
        created = self.request("POST", "/containers/create", {"Image": "a", "Cmd": list(command), **config})
        assert created.status == 201, created
        container_id: str = created.json["Id"]
        if start:
            assert self.request("POST", f"/containers/{container_id}/start").status == 204
        return container_id


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    served = Api(tmp_path / "s")
    yield served
    served.stop()
    assert served.problems == []
