"""Files of a directory by HTTP, in an engine's network namespace: what a user's URL leads to."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.engine import Engine

_SERVER = (
    "import functools, http.server, sys\n"
    "handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])\n"
    "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)\n"
    "print(server.server_port, flush=True)\n"
    "server.serve_forever()\n"
)


@contextlib.contextmanager
def file_server(engine: Engine, root: Path) -> Iterator[str]:
    """The URL of ``root`` on the engine's loopback."""
    command = engine.netns.command([sys.executable, "-I", "-c", _SERVER, str(root)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()
