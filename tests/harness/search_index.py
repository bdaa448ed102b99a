"""An index that speaks Docker Hub's search.

``python search_index.py`` prints its port, and serves until its input ends.
"""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from harness.engine import Engine

IMAGES: list[dict[str, Any]] = [
    {"name": "box", "description": "A box\nfor tests", "star_count": 90, "is_official": True, "is_automated": False},
    {"name": "team/box", "description": "x" * 60, "star_count": 5, "is_official": False, "is_automated": True},
    {"name": "team/other", "description": None, "star_count": 0, "is_official": False, "is_automated": False},
]


@contextlib.contextmanager
def search_index(engine: Engine) -> Iterator[str]:
    """``host:port`` of one on the loopback of the engine's network namespace."""
    command = engine.netns.command([sys.executable, str(Path(__file__))])
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": tests}
    ) as process:
        assert process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
        process.communicate("")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path != "/v1/search":
            self._answer(404, {})
            return
        query = parse_qs(parts.query)
        found = [image for image in IMAGES if query["q"][0] in str(image["name"])][: int(query["n"][0])]
        self._answer(200, {"query": query["q"][0], "num_results": len(found), "results": found})

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        pass


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
