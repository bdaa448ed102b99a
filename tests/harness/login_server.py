"""A registry that only asks who one is: ``python login_server.py KIND`` prints its port, and serves
until its input ends.

KIND: ``basic``, ``bearer`` (with a token server beside it), ``open``, ``broken``. User ``u``, password ``p``.
"""

import base64
import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from harness.engine import Engine

GOOD = "Basic " + base64.b64encode(b"u:p").decode()
WRONG = b'{"errors":[{"code":"UNAUTHORIZED","message":"wrong user or password"}]}'


@contextlib.contextmanager
def login_server(engine: Engine, kind: str) -> Iterator[str]:
    """``host:port`` of one that runs on the loopback of the engine's network namespace."""
    command = engine.netns.command([sys.executable, str(Path(__file__)), kind])
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[1])},
    ) as process:
        assert process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
        process.communicate("")


class _Handler(BaseHTTPRequestHandler):
    kind = ""

    def do_GET(self) -> None:
        assert isinstance(self.server, ThreadingHTTPServer)
        port = self.server.server_port
        given = self.headers.get("Authorization", "")
        if self.path.startswith("/token"):
            self._answer(200, b'{"token":"secret"}') if given == GOOD else self._answer(401, WRONG)
        elif self.kind == "broken":
            self._answer(500, b"")
        elif self.kind == "open" or given == {"basic": GOOD, "bearer": "Bearer secret"}[self.kind]:
            self._answer(200, b"{}")
        elif self.kind == "basic":
            self._answer(401, b"", 'Basic realm="here"')
        else:
            self._answer(401, b"", f'Bearer realm="http://127.0.0.1:{port}/token",service="there"')

    def _answer(self, status: int, body: bytes, challenge: str = "") -> None:
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


def main(kind: str) -> None:
    _Handler.kind = kind
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
