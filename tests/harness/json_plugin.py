"""A plug-in of Docker's protocol, on a unix socket: JSON is asked and answered over HTTP."""

import json
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

Answer = Callable[[str, dict[str, Any]], dict[str, Any]]
"""From a method and its body to what is answered; ``Err`` says what is wrong."""


class JsonPlugin:
    """One that listens until ``close``."""

    def __init__(self, socket: Path, answer: Answer) -> None:
        self._socket = socket
        socket.parent.mkdir(parents=True, exist_ok=True)
        self._server = _Server(str(socket), _Handler)
        self._server.answer = answer
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._socket.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    answer: Answer


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        answer = self.server.answer(self.path.removeprefix("/"), body)
        text = json.dumps(answer).encode()
        self.send_response(500 if answer.get("Err") else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_words: object) -> None:
        """Nothing."""
