"""How the daemon finds the resolver, or starts one: as the zygote is started, with a socket where others find it."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from cove.resolver.messages import SOCKET_NAME
from cove.runtime.launch import ZygoteProcess, interpreter_command, spawn

_BOOT = """import sys
sys.path.insert(0, {path!r})
from cove.resolver.service import main
main({listener}, {connection}, {resolv_conf!r})
"""


def find_resolver(run_root: Path) -> socket.socket | None:
    """A connection to the resolver that an earlier daemon started; None when there is none."""
    connection = _socket()
    try:
        with _near(run_root) as path:
            connection.connect(path)
    except OSError:
        connection.close()
        return None
    return connection


def spawn_resolver(run_root: Path, resolv_conf: str) -> tuple[socket.socket, ZygoteProcess]:
    """Start a resolver that asks the servers of ``resolv_conf``. Raises OSError.

    It holds none of the daemon's streams open, which it outlives: what it has to say comes in messages.
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        with theirs, _listener(run_root) as listener:
            values = {"listener": listener.fileno(), "connection": theirs.fileno(), "resolv_conf": resolv_conf}
            process = spawn(interpreter_command(_BOOT, **values), [listener.fileno(), theirs.fileno()], null)
    except BaseException:
        ours.close()
        raise
    finally:
        os.close(null)
    return ours, process


def _listener(run_root: Path) -> socket.socket:
    listener = _socket()
    try:
        (run_root / SOCKET_NAME).unlink(missing_ok=True)
        with _near(run_root) as path:
            listener.bind(path)
        os.chmod(run_root / SOCKET_NAME, 0o600)
        listener.listen(8)
    except BaseException:
        listener.close()
        raise
    return listener


def _socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)


@contextlib.contextmanager
def _near(run_root: Path) -> Iterator[str]:
    """The socket's path by way of its directory: the true one may exceed sun_path."""
    directory = os.open(run_root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET_NAME}"
    finally:
        os.close(directory)
