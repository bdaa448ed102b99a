"""A server that forgets what ``cp`` sends and has ready what it asks for: what is left is the command line alone."""

import base64
import contextlib
import http.server
import io
import json
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

_PIECE = 1 << 20
_DIRECTORY = 1 << 31 | 0o755
"""Go's mode of a directory."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_HEAD(self) -> None:
        ping = "_ping" in self.path
        there = self.server.archive is not None
        self._answer(200 if ping or there else 404, 0)

    def do_GET(self) -> None:
        archive = self.server.archive
        if archive is None or "_ping" in self.path:
            self._answer(200, 0)
            return
        with archive.open("rb") as file:
            self._answer(200, os.fstat(file.fileno()).st_size)
            self.wfile.flush()
            self.connection.sendfile(file)

    def do_PUT(self) -> None:
        """The body is chunked, and its end is looked for where it can be: in the last bytes of what comes."""
        assert isinstance(self.rfile, io.BufferedReader)
        last = self.rfile.peek()[-5:]
        buffer = bytearray(_PIECE)
        while not last.endswith(b"0\r\n\r\n"):
            count = self.connection.recv_into(buffer)
            if not count:
                break
            last = (last + bytes(buffer[max(count - 5, 0) : count]))[-5:]
        self._answer(200, 0)
        self.close_connection = True

    def _answer(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Api-Version", "1.41")
        self.send_header("X-Docker-Container-Path-Stat", self.server.stat)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def address_string(self) -> str:
        return ""

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, archive: Path | None, is_directory: bool) -> None:
        super().__init__(path, _Handler)
        self.archive = archive
        mode = _DIRECTORY if is_directory else 0o644
        found = {"name": "sent", "size": 0, "mode": mode, "mtime": "2026-01-01T00:00:00Z", "linkTarget": ""}
        self.stat = base64.b64encode(json.dumps(found).encode()).decode()

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """A client that is done closes its connection as it likes."""


@contextlib.contextmanager
def serving(path: Path, archive: Path | None, is_directory: bool) -> Iterator[str]:
    """The address. ``archive``: the tar that every path is answered with; None: nothing is there, and all is taken."""
    path.unlink(missing_ok=True)
    with _Server(str(path), archive, is_directory) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
            path.unlink(missing_ok=True)
