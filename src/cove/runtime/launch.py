"""How the daemon starts the zygote: a fresh interpreter from a sealed copy, without site-packages."""

import os
import signal
import socket
import sys

from cove.kernel import interpreter

_BOOT = """import sys
sys.path.insert(0, {path!r})
from cove.runtime.zygote import main
main({descriptor})
"""
_DESCRIPTOR = 3
_RESETTABLE = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def spawn_zygote(log: int = 2) -> tuple[socket.socket, int]:
    """Start a zygote. Returns the socket that takes its StartShim messages, and its process id.

    ``log``: the descriptor that its own failures are written to. The caller reaps the process: the socket is at its
    end when it has died. Closing the socket ends it. Needs root. Raises OSError.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    sealed = interpreter.seal()
    os.set_inheritable(sealed, False)  # the kernel opens it before it closes what is close-on-exec
    try:
        pid = os.posix_spawn(
            f"/proc/self/fd/{sealed}",
            command(_DESCRIPTOR),
            _environment(),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), _DESCRIPTOR),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_RESETTABLE,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(sealed)
    return ours, pid


def command(descriptor: int) -> list[str]:
    """The arguments of a zygote that serves the socket ``descriptor``."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    executable = os.path.realpath(sys.executable)
    return [executable, "-I", "-S", "-c", _BOOT.format(path=package, descriptor=descriptor)]


def _environment() -> dict[str, str]:
    """Nothing of the daemon's, which may hold secrets; UTF-8 whatever the locale."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
