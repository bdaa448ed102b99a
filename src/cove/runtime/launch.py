"""How the daemon starts the zygote: a fresh interpreter from a sealed copy, without site-packages."""

import os
import socket
import subprocess
import sys

from cove.kernel import interpreter

ZygoteProcess = subprocess.Popen[bytes]

_BOOT = """import sys
sys.path.insert(0, {path!r})
from cove.runtime.zygote import main
main({descriptor})
"""


def spawn_zygote(log: int = 2) -> tuple[socket.socket, ZygoteProcess]:
    """Start a zygote. Returns the socket that takes its StartShim messages, and the process.

    ``log``: the descriptor that its own failures are written to. The caller waits for the process: the socket is at
    its end when it has died. Closing the socket ends it. Needs root. Raises OSError.

    Not posix_spawn: glibc's leaves the two signals that it keeps for itself ignored, and containers would inherit that.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        process = spawn(command(theirs.fileno()), [theirs.fileno()], log)
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return ours, process


def spawn(arguments: list[str], descriptors: list[int], log: int = 2) -> ZygoteProcess:
    """Start an interpreter with these arguments, from a sealed copy, with ``descriptors`` under their own numbers."""
    sealed = interpreter.seal()
    try:
        return subprocess.Popen(
            arguments,
            executable=f"/proc/self/fd/{sealed}",
            pass_fds=(*descriptors, sealed),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(),
            start_new_session=True,
        )
    finally:
        os.close(sealed)


def command(descriptor: int) -> list[str]:
    """The arguments of a zygote that serves the socket ``descriptor``."""
    return interpreter_command(_BOOT, descriptor=descriptor)


def interpreter_command(boot: str, **values: object) -> list[str]:
    """The arguments of an interpreter that finds this package and nothing else; ``boot``: a format of what it runs."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [os.path.realpath(sys.executable), "-I", "-S", "-c", boot.format(path=package, **values)]


def _environment() -> dict[str, str]:
    """Nothing of the daemon's, which may hold secrets; UTF-8 whatever the locale."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
