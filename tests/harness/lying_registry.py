"""A registry that lies: ``python lying_registry.py [LIE]`` prints its port, and serves until its input ends.

What is wrong is said by the repository's first word, so one server tells every lie: ``HOST/wrong-digest/any:latest``.
Whatever comes after it makes the repository another one, with a count of its own for lies that are told ``-once``.
A LIE about tokens is told by ``/v2/`` too, which is where Docker looks for them. ``GET /_requests/NAME`` is what was
asked of a repository. ``honest`` lies not at all; ``harness.lies`` has those that are in the documents.

=================== ===========================================================================================
wrong-digest        the layer has the length that was announced, and other bytes
wrong-config        so has the configuration
wrong-manifest      a manifest asked for by its digest is another one
short               the layer is shorter than the manifest says, and its answer says so
long                the layer is longer
endless             the layer never ends
endless-manifest    nor does the manifest
endless-token       nor does the answer of the token server
drip                the layer comes byte by byte
stall               half of the layer comes, then nothing more
no-answer           nothing at all is answered to a request of the layer
redirect-loop       the layer is elsewhere: here
redirect-file       the layer is elsewhere: file:///etc/passwd
401-loop            there are tokens, and none is good
401-basic           nobody's password is good
401-once            the first token is refused
truncated-once      the connection ends in the middle of the layer, the first time
truncated-no-range  so it does, and then the whole comes again, whatever range was asked for
truncated-wrong     so it does, and then the answer is a range, and another one
truncated           it ends in the middle each time, and no range is ever more than 1000 bytes
429-once            too many requests, the first time; again in a second
429                 too many requests, every time
500-once            an error of the server, the first time, for each address
500                 an error of the server, every time, for layers
=================== ===========================================================================================
"""

import contextlib
import json
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from harness.lies import Document, Image, told

if TYPE_CHECKING:  # an engine brings a client of it along, and a server is to start quickly
    from harness.engine import Engine

STEP = 64 << 10
"""Bytes that are written at once."""

TRUNCATED_REST = 1000
"""Bytes that each answer of ``truncated`` has."""


class LyingRegistry:
    """One that runs in an engine's network namespace. ``host``: its address there."""

    def __init__(self, engine: "Engine", host: str) -> None:
        self.host = host
        self._engine = engine

    def image(self, lie: str, name: str = "image") -> str:
        """The reference of an image about which this lie is told."""
        return f"{self.host}/{lie}/{name}:latest"

    def requests(self, lie: str, name: str = "image") -> list[dict[str, str]]:
        """What was asked of it: ``method``, ``path`` and ``range`` of each request."""
        asked: list[dict[str, str]] = json.loads(self._engine.fetch(f"http://{self.host}/_requests/{lie}/{name}"))
        return asked


@contextlib.contextmanager
def lying_registry(engine: "Engine", guard: str = "") -> Iterator[LyingRegistry]:
    """One on the loopback of the engine's network namespace. ``guard``: the lie that ``/v2/`` tells about tokens."""
    command = engine.netns.command([sys.executable, str(Path(__file__)), guard])
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": tests}
    ) as process:
        assert process.stdout is not None
        yield LyingRegistry(engine, f"127.0.0.1:{process.stdout.readline().strip()}")
        process.kill()


class _Gone(Exception):
    """The connection is to end here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: ClassVar[defaultdict[str, list[dict[str, str]]]] = defaultdict(list)
    counts: ClassVar[Counter[str]] = Counter()
    stopped = threading.Event()
    guard = ""
    kind = name = ""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path).path.strip("/").split("/")
        try:
            if parts == ["v2"]:
                self.kind = self.guard
                if not self._refused("", ""):
                    self._answer(200, b"{}")
            elif parts[0] == "_requests":
                self._answer(200, json.dumps(self.asked["/".join(parts[1:])]).encode())
            elif parts[0] == "token":
                self._token()
            elif parts[0] == "v2" and len(parts) > 4 and parts[-2] in ("manifests", "blobs"):
                self._lie("/".join(parts[1:-2]), parts[-2], parts[-1])
            else:
                self._answer(404, b"{}")
        except (_Gone, ConnectionError):
            self.close_connection = True

    def _lie(self, name: str, what: str, reference: str) -> None:
        self.kind = name.partition("/")[0]
        self.name = name
        asked = {"method": self.command, "path": self.path, "range": self.headers.get("Range", "")}
        self.asked[name].append(asked)
        image = told(name)
        if self._refused(what, reference):
            return
        if what == "manifests":
            self._manifest(image, reference)
        elif reference not in image.blobs:
            self._answer(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}')
        elif reference == image.layer:
            getattr(self, f"_layer_{self.kind.replace('-', '_')}", self._blob)(image.blobs[reference])
        elif self.kind == "wrong-config":
            self._blob(image.blobs[reference].replace(b'"linux"', b'"linus"'))
        else:
            self._blob(image.blobs[reference])

    def _refused(self, what: str, reference: str) -> bool:
        """Whether the answer was that there is none."""
        if self.kind == "429" or (self.kind == "429-once" and self._first(reference)):
            body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"too many requests"}]}'
            self._answer(429, body, {"Retry-After": "1"})
        elif (self.kind == "500" and what == "blobs") or (self.kind == "500-once" and self._first(reference)):
            self._answer(500, b"something broke")
        elif self.kind == "401-basic":
            self._answer(401, b"{}", {"WWW-Authenticate": 'Basic realm="here"'})
        elif self.kind in ("401-loop", "401-once", "endless-token"):
            return self._unauthorized(reference)
        else:
            return False
        return True

    def _unauthorized(self, reference: str) -> bool:
        good = self.kind == "401-once" and self.headers.get("Authorization") and not self._first("token")
        if good:
            return False
        realm = f"http://127.0.0.1:{self._port}/token/{self.kind}"
        challenge = f'Bearer realm="{realm}",service="here",scope="repository:{self.name}:pull"'
        if self.kind == "401-once" and self.headers.get("Authorization"):
            challenge += ',error="invalid_token"'
        self._answer(401, b"{}", {"WWW-Authenticate": challenge})
        return True

    def _token(self) -> None:
        if self.path.startswith("/token/endless-token"):
            self._endless({}, b'{"token":"' + b"x" * STEP)
        self._answer(200, json.dumps({"token": f"token{self._count('tokens')}", "expires_in": 300}).encode())

    def _manifest(self, image: Image, reference: str) -> None:
        found = image.documents.get(reference) if ":" in reference else image.top
        if found is None:
            self._answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
            return
        headers = {"Content-Type": found.media_type, "Docker-Content-Digest": found.digest}
        if self.kind == "endless-manifest":
            self._endless(headers, b" " * STEP)
        if self.kind == "wrong-manifest" and self.command == "GET":
            found = Document(found.media_type, found.content + b" ")
        self._answer(200, found.content, headers)

    # Layers, by the name of the lie

    def _layer_wrong_digest(self, content: bytes) -> None:
        """What is in it is the same: only the time that gzip notes is another one."""
        self._blob(content[:4] + bytes([content[4] ^ 1]) + content[5:])

    def _layer_short(self, content: bytes) -> None:
        self._blob(content[:-100])

    def _layer_long(self, content: bytes) -> None:
        self._blob(content + b"more")

    def _layer_endless(self, content: bytes) -> None:
        self._endless({}, content[:STEP])

    def _layer_drip(self, content: bytes) -> None:
        self._head(200, len(content), {})
        for position in range(len(content)):
            self._write(content[position : position + 1])
            if self.stopped.wait(0.1):
                raise _Gone

    def _layer_stall(self, content: bytes) -> None:
        self._head(200, len(content), {})
        self._write(content[: len(content) // 2])
        self.stopped.wait()
        raise _Gone

    def _layer_no_answer(self, content: bytes) -> None:
        self.stopped.wait()
        raise _Gone

    def _layer_redirect_loop(self, content: bytes) -> None:
        self._answer(307, b"", {"Location": self.path})

    def _layer_redirect_file(self, content: bytes) -> None:
        self._answer(307, b"", {"Location": "file:///etc/passwd"})

    def _layer_truncated_once(self, content: bytes) -> None:
        self._cut(content) if self._first("layer") else self._blob(content)

    def _layer_truncated_no_range(self, content: bytes) -> None:
        if self._first("layer"):
            self._cut(content)
        self._answer(200, content)

    def _layer_truncated_wrong(self, content: bytes) -> None:
        if self._first("layer"):
            self._cut(content)
        headers = {"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}"}
        self._answer(206 if self.headers.get("Range") else 200, content, headers)

    def _layer_truncated(self, content: bytes) -> None:
        start = self._start()
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        self._head(206 if start else 200, len(content) - start, headers)
        self._write(content[start : start + TRUNCATED_REST])
        raise _Gone

    # Answers

    def _blob(self, content: bytes) -> None:
        """With ranges, as registries have them."""
        start = self._start()
        if start >= len(content):
            self._answer(416, b"")
        elif start:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._answer(206, content[start:], {"Content-Range": span})
        else:
            self._answer(200, content)

    def _cut(self, content: bytes) -> None:
        self._head(200, len(content), {})
        self._write(content[: len(content) // 2])
        raise _Gone

    def _endless(self, headers: dict[str, str], piece: bytes) -> None:
        self._head(200, None, headers)
        while not self.stopped.is_set():
            self._write(piece)
        raise _Gone

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(body), headers or {})
        self._write(body)

    def _head(self, status: int, length: int | None, headers: dict[str, str]) -> None:
        """Without a length the body goes on until the connection ends."""
        self.send_response(status)
        self.send_header("Docker-Distribution-API-Version", "registry/2.0")
        for name, value in {"Content-Type": "application/octet-stream", **headers}.items():
            self.send_header(name, value)
        if length is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _write(self, content: bytes) -> None:
        if self.command == "HEAD":
            return
        for position in range(0, len(content), STEP):
            self.wfile.write(content[position : position + STEP])
        self.wfile.flush()

    def _start(self) -> int:
        """Where the range that is asked for begins."""
        text = self.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
        return int(text) if text.isdigit() else 0

    def _first(self, what: str) -> bool:
        return self.command != "HEAD" and self._count(f"{self.name} {what}") == 1

    def _count(self, what: str) -> int:
        self.counts[what] += 1
        return self.counts[what]

    @property
    def _port(self) -> int:
        address: Any = self.server.server_address
        return int(address[1])

    def log_message(self, *_arguments: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_request: object) -> None:
        """Clients that go away are the point."""


def main(guard: str) -> None:
    _Handler.guard = guard
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    _Handler.stopped.set()


if __name__ == "__main__":
    main(sys.argv[1])
