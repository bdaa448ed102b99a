"""The system call filter of a container: read from its file once, put on every process just before its program runs.

A filter may hand calls to another program on the host, its listener. That one gets the descriptor of notifications by a
unix socket, with the words of the runtime specification ("Containers and seccomp": the container process state).
"""

from __future__ import annotations

import os

from cove.kernel import rights, seccomp
from cove.lean import TYPE_CHECKING, NamedTuple, json, socket

if TYPE_CHECKING:
    from cove.runtime.messages import SeccompFilter

_OCI_VERSION = "1.2.0"
_PATIENCE = 5.0
"""Seconds that a listener has to take a connection."""


class Confinement(NamedTuple):
    """``program``: an array of struct sock_filter. ``flags``: of seccomp(2)."""

    program: bytes
    flags: int

    @property
    def has_listener(self) -> bool:
        return bool(self.flags & seccomp.NEW_LISTENER)


class Subject(NamedTuple):
    """Whom a listener is told about. ``pid``: of the process, ``init``: of the container's first one, on the host."""

    container_id: str
    bundle: str
    pid: int
    init: int
    status: str


def read(given: SeccompFilter | None) -> Confinement | None:
    """While the file can be reached. Raises OSError."""
    if given is None:
        return None
    with open(given["program"], "rb", buffering=0) as file:
        return Confinement(file.read(), given["flags"])


def notify(given: SeccompFilter, subject: Subject, number: int) -> None:
    """Send the listener its descriptor, which is ``number`` in the process. Raises OSError with the listener's path.

    The process does nothing for it: the call that it would make could be one that waits for the listener.
    """
    pidfd = os.pidfd_open(subject.pid)
    try:
        descriptor = seccomp.take_descriptor(pidfd, number)
    finally:
        os.close(pidfd)
    try:
        _send(given["listener"], _state(given, subject), descriptor)
    except OSError as error:
        words = f"cannot send the seccomp descriptor to {given['listener']}: {error.strerror or error}"
        raise OSError(error.errno, words) from None
    finally:
        os.close(descriptor)


def _send(path: str, state: bytes, descriptor: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect(path)
        connection.sendmsg([state], rights.of([descriptor]))


def _state(given: SeccompFilter, subject: Subject) -> bytes:
    container = {
        "ociVersion": _OCI_VERSION,
        "id": subject.container_id,
        "status": subject.status,
        "pid": subject.init,
        "bundle": subject.bundle,
    }
    state = {
        "ociVersion": _OCI_VERSION,
        "fds": ["seccompFd"],
        "pid": subject.pid,
        "metadata": given["metadata"],
        "state": container,
    }
    return json.dumps(state).encode()
