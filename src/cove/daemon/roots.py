"""The data root and the run root: their layout, and the lock that keeps a second daemon out.

======================================  ==========================================================
``<data root>/cove.db``                 every record
``<data root>/blobs``, ``layers``       images
``<data root>/containers/<id>``         log, hosts, hostname, resolv.conf, writable layer
``<data root>/volumes/<name>/_data``    volumes
``<data root>/tmp``                     what is not whole yet; emptied at start
``<exec root>/containers/<id>``         run directories, see ``cove.runtime.messages``
``<exec root>/cove.sock``               the API
======================================  ==========================================================
"""

import contextlib
import fcntl
import os
from pathlib import Path

from cove.errors import Conflict


class Roots:
    """Both roots, made and locked for the life of this object."""

    def __init__(self, data_root: Path, exec_root: Path) -> None:
        """Raises Conflict when another daemon holds either root."""
        self.data = data_root
        self.run = exec_root
        for directory, mode in ((data_root, 0o710), (exec_root, 0o711)):
            directory.mkdir(mode=mode, parents=True, exist_ok=True)
        with contextlib.ExitStack() as locks:
            for directory in dict.fromkeys((data_root.resolve(), exec_root.resolve())):
                locks.callback(os.close, _lock(directory))
            self._locks = locks.pop_all()
        for directory in (data_root / "containers", data_root / "tmp", data_root / "volumes", exec_root / "containers"):
            directory.mkdir(mode=0o710, exist_ok=True)

    @property
    def worker_lock(self) -> Path:
        """Locked by processes that work for the daemon, and may outlive it for a moment."""
        return self.data / "worker.lock"

    def close(self) -> None:
        """Let go of the locks."""
        self._locks.close()


def _lock(directory: Path) -> int:
    descriptor = os.open(directory / "coved.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise Conflict(f"another daemon (pid {owner}) is using {directory}: stop it or choose another root") from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
