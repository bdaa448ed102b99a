"""A gate before a registry that asks for tokens: ``python token_gate.py PORT`` prints its port, and serves until its
input ends.

It is its own token server: user ``u`` with password ``p`` gets a token for each set of scopes that is asked for, and a
refresh token that does instead of the password; nobody gets one that is good for nothing. A token is good for a few
requests. Each token that is asked for is a line of its output: how, and the scopes.
"""

import base64
import contextlib
import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from harness.engine import Engine

GOOD = "Basic " + base64.b64encode(b"u:p").decode()
REFRESH = "instead-of-the-password"
USES = 4
"""Requests that a token is good for."""


class TokenGate:
    """``host``: its address in the engine's network namespace."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self._process = process
        self._output = process.stdout
        self.host = f"127.0.0.1:{process.stdout.readline().strip()}"

    def asked(self) -> list[tuple[str, frozenset[str]]]:
        """End it; how each token was asked for (``password``, ``refresh``, ``nobody``), and the scopes."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        lines = [line.split() for line in self._output.read().splitlines()]
        return [(how, frozenset(scopes)) for how, *scopes in lines]


@contextlib.contextmanager
def token_gate(engine: "Engine", port: int) -> Iterator[TokenGate]:
    """One in the engine's network namespace, before the registry at this port of its loopback."""
    command = engine.netns.command([sys.executable, str(Path(__file__)), str(port)])
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": tests}
    ) as process:
        yield TokenGate(process)
        process.kill()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behind = 0
    granted: ClassVar[dict[str, frozenset[str]]] = {}
    left: ClassVar[dict[str, int]] = {}
    lock = threading.Lock()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if urlsplit(self.path).path == "/token":
            self._token(body.decode())
        elif error := self._refusal():
            realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="gate",error="{error}"'
            self._answer(401, {"WWW-Authenticate": realm}, b'{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}')
        else:
            self._pass_on(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _token(self, form: str) -> None:
        fields = parse_qs(form or urlsplit(self.path).query)
        scopes = frozenset(scope for each in fields.get("scope", []) for scope in each.split())
        shown = self.headers.get("Authorization", "")
        known = {("", REFRESH): "refresh", (GOOD, ""): "password"}
        how = known.get((shown, fields.get("refresh_token", [""])[0]), "nobody")
        if how == "nobody" and (shown or form):
            self._answer(401, {}, b'{"errors":[{"code":"UNAUTHORIZED","message":"wrong user or password"}]}')
            return
        with self.lock:
            token = f"token{len(self.granted)}"
            self.granted[token] = scopes if how != "nobody" else frozenset()
            self.left[token] = USES
            print(how, *sorted(scopes), flush=True)
        more = {"refresh_token": REFRESH} if how == "password" else {}
        self._answer(200, {}, json.dumps({"token": token, "expires_in": 300, **more}).encode())

    def _refusal(self) -> str:
        """The error of a request whose token is not good for it, or nothing."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        with self.lock:
            if token not in self.granted or not self.left[token]:
                return "invalid_token"
            self.left[token] -= 1
            allowed = {
                (name, action)
                for scope in self.granted[token]
                for kind, name, actions in [scope.split(":")]
                for action in actions.split(",")
            }
        return "" if self._needed() <= allowed else "insufficient_scope"

    def _needed(self) -> set[tuple[str, str]]:
        url = urlsplit(self.path)
        name = url.path.removeprefix("/v2/").rsplit("/", 2)[0].removesuffix("/blobs")
        if url.path == "/v2/":
            return set()
        mounted = {(source, "pull") for source in parse_qs(url.query).get("from", [])}
        return {(name, "pull" if self.command in ("GET", "HEAD") else "push"), *mounted}

    def _pass_on(self, body: bytes) -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.behind)) as connection:
            headers = {name: value for name, value in self.headers.items() if name != "Authorization"}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            length = answer.headers.get("Content-Length", "")
            self._answer(answer.status, dict(answer.headers), answer.read(), length)

    def _answer(self, status: int, headers: dict[str, str], body: bytes, length: str = "") -> None:
        self.send_response_only(status)
        hidden = ("content-length", "transfer-encoding", "connection")
        for name, value in headers.items():
            if name.lower() not in hidden:
                self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def main(port: int) -> None:
    _Handler.behind = port
    server = _Server(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
