"""A forward proxy that reaches one place, whatever host is asked for: ``python forward_proxy.py PORT`` prints its port.

It serves until its input ends; each host that was asked for is a line of its output.
"""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from harness.engine import Engine


class ForwardProxy:
    """``url``: what the daemon is told."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self._process = process
        self._output = process.stdout
        self.url = f"http://127.0.0.1:{process.stdout.readline().strip()}"

    def asked(self) -> set[str]:
        """End it; the hosts that were asked for."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return set(self._output.read().split())


@contextlib.contextmanager
def forward_proxy(engine: Engine, port: int) -> Iterator[ForwardProxy]:
    """One in the engine's network namespace; whatever is asked for is at this port of its loopback."""
    command = engine.netns.command([sys.executable, str(Path(__file__)), str(port)])
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": tests}
    ) as process:
        yield ForwardProxy(process)
        process.kill()


def _serve(client: socket.socket, port: int) -> None:
    """One connection: its first line says where to; the rest goes there as it comes, without the URL's host."""
    with client, socket.create_connection(("127.0.0.1", port)) as upstream:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(65536)
            if not piece:
                return
            head += piece
        method, target, rest = head.split(b" ", 2)
        host = target if method == b"CONNECT" else target.split(b"/")[2]
        print(host.decode(), flush=True)
        if method == b"CONNECT":
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = b"/" + target.split(b"/", 3)[3]
            upstream.sendall(b" ".join((method, path, rest)))
        back = threading.Thread(target=_copy, args=(upstream, client))
        back.start()
        _copy(client, upstream)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


def main(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)

        def accept() -> None:
            while True:
                client, _ = server.accept()
                threading.Thread(target=_serve, args=(client, port), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
