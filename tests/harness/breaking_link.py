"""A link to a port that breaks once: ``python breaking_link.py PORT BYTES`` prints the port where it begins.

The first connection that carries more than BYTES of its client's ends there. It serves until its input ends; each
``Content-Range`` that a client sends is a line of its output.
"""

import contextlib
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from harness.engine import Engine


class BreakingLink:
    """``host``: where it begins."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self._process = process
        self._output = process.stdout
        self.host = f"127.0.0.1:{process.stdout.readline().strip()}"

    def ranges(self) -> list[str]:
        """End it; the ranges that were sent."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._output.read().split()


@contextlib.contextmanager
def breaking_link(engine: Engine, port: int, count: int) -> Iterator[BreakingLink]:
    """One in the engine's network namespace, to a port of its loopback."""
    command = engine.netns.command([sys.executable, str(Path(__file__)), str(port), str(count)])
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": tests}
    ) as process:
        yield BreakingLink(process)
        process.kill()


_broken = threading.Event()


def _carry(client: socket.socket, port: int, most: int) -> None:
    """One connection; both ways end together, and what was carried before arrives."""
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=_back, args=(server, client), daemon=True)
        back.start()
        carried = 0
        with contextlib.suppress(OSError):
            while piece := client.recv(65536):
                for found in re.findall(rb"(?i)content-range: (\S+)", piece):
                    print(found.decode(), flush=True)
                server.sendall(piece)
                carried += len(piece)
                if carried > most and not _broken.is_set():
                    _broken.set()
                    client.shutdown(socket.SHUT_RDWR)
                    break
            server.shutdown(socket.SHUT_WR)
        back.join()


def _back(server: socket.socket, client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := server.recv(65536):
            client.sendall(piece)
        client.shutdown(socket.SHUT_RDWR)


def main(port: int, most: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)

        def accept() -> None:
            while True:
                client, _ = listener.accept()
                threading.Thread(target=_carry, args=(client, port, most), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
