"""Descriptors for the caller, over the unix socket that it names: a terminal's master, a pidfd."""

import os

from cove.kernel import rights
from cove.lean import socket
from cove.runtime.command.container import Failed


def hand_over(path: str, master: int) -> None:
    """Send the master of the terminal and close it. Raises Failed when there is none."""
    if master < 0:
        raise Failed("the container has no terminal to send to the console socket")
    send_descriptor(path, master, b"/dev/pts/ptmx")
    os.close(master)


def send_descriptor(path: str, descriptor: int, name: bytes) -> None:
    """Raises OSError when nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        connection.sendmsg([name], rights.of([descriptor]))


def send_pidfd(path: str, pid: int) -> None:
    """Raises OSError when nobody listens."""
    descriptor = os.pidfd_open(pid)
    try:
        send_descriptor(path, descriptor, b"pidfd")
    finally:
        os.close(descriptor)
