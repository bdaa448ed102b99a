"""``NOTIFY_SOCKET``: a service manager waits for the container's program to say that it is ready (sd_notify(3)).

The program gets a socket of its own in a directory that is bound to /run/notify. That socket is made by ``start``,
which then waits for ``READY=1`` and hands it on, together with the process that the manager is to watch; so does
``run``.
"""

import os
import select

from cove.kernel import namespaces
from cove.lean import Any, Iterator, contextmanager, socket, suppress

VARIABLE = "NOTIFY_SOCKET"
"""As ``creating`` has it, which imports this module only where it is set."""
_SOCKET = "notify.sock"
_INSIDE = "/run/notify"
_LONGEST = 4096


def prepare(directory: str, spec: Any) -> None:
    """Before the container is made: the directory for the socket, its mount, and the variable. Raises OSError."""
    if not os.environ.get(VARIABLE):
        return
    os.mkdir(directory, 0o755)
    options = ["bind", "nosuid", "noexec", "nodev", "ro"]
    spec.setdefault("mounts", []).append(
        {"destination": _INSIDE, "type": "bind", "source": directory, "options": options}
    )
    kept = [entry for entry in spec["process"].get("env") or [] if not entry.startswith(f"{VARIABLE}=")]
    spec["process"]["env"] = [*kept, f"{VARIABLE}={_INSIDE}/{_SOCKET}"]


def remove(directory: str) -> None:
    """What ``prepare`` and ``listening`` have made."""
    with suppress(FileNotFoundError):
        os.unlink(f"{directory}/{_SOCKET}")
    with suppress(FileNotFoundError):
        os.rmdir(directory)


@contextmanager
def listening(directory: str) -> Iterator["socket.socket | None"]:
    """The program's socket; None where nobody waits, or did when the container was made. Raises OSError."""
    if not os.environ.get(VARIABLE) or not os.path.isdir(directory):
        yield None
        return
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(FileNotFoundError):
            os.unlink(f"{directory}/{_SOCKET}")
        listener.bind(f"/proc/self/fd/{opened}/{_SOCKET}")  # the path may be longer than an address holds
        os.chmod(f"{directory}/{_SOCKET}", 0o777)  # whoever the program runs as
        yield listener
    finally:
        os.close(opened)
        listener.close()


def forward_beside(listener: socket.socket, pid: int) -> None:
    """``forward`` in a child, for a call that goes on with something else."""
    with namespaces.children_beside():  # not into the container's processes, where this one's children would be
        if os.fork() == 0:
            try:
                forward(listener, pid)
            finally:
                os._exit(0)


def forward(listener: socket.socket, pid: int) -> None:
    """Hand on what the program says, until it is ready or has ended. Raises OSError when nobody takes it."""
    descriptor = os.pidfd_open(pid)
    try:
        while True:
            ready, _, _ = select.select([listener.fileno(), descriptor], [], [])
            if listener.fileno() not in ready:
                return
            lines = [line for line in listener.recv(_LONGEST).split(b"\n") if line.startswith(b"READY=")]
            if lines:
                _tell(b"\n".join([*lines, b"MAINPID=%d" % pid]))
                return
    finally:
        os.close(descriptor)


def _tell(message: bytes) -> None:
    address = os.environ[VARIABLE]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto(message, f"\0{address[1:]}" if address.startswith("@") else address)
