"""The servers that are asked what is not ours: read from the host's resolv.conf, which is followed, or given."""

import contextlib
import os
import time
from typing import NamedTuple

from cove.kernel import inotify
from cove.resolver.upstream_address import checked

_EVENTS = inotify.CLOSE_WRITE | inotify.MOVED_TO | inotify.CREATE | inotify.DELETE

_RESTED = 30.0
"""Seconds that a server which did not answer is asked last."""

FALLBACK = ("8.8.8.8", "8.8.4.4")
"""Docker's choice when the host has no server."""


class Server(NamedTuple):
    """``inside``: it is asked from the container's own network namespace, else from the host's."""

    address: str
    inside: bool
    port: int = 53


class HostServers:
    """The servers of a resolv.conf file. ``fileno`` is readable when it may have changed; then ``refresh``."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._inotify = inotify.Inotify()
        self._watched: set[str] = set()
        self.addresses: tuple[str, ...] = ()
        self.refresh()

    def fileno(self) -> int:
        return self._inotify.fileno()

    def refresh(self) -> None:
        """Read the file again. It, and what it is a link to, is watched by its directory, since it gets replaced."""
        while self._inotify.read():
            pass
        for path in {self._path, os.path.realpath(self._path)}:
            directory = os.path.dirname(path)
            if directory not in self._watched:
                with contextlib.suppress(OSError):
                    self._inotify.add(directory, _EVENTS)
                    self._watched.add(directory)
        self.addresses = read_servers(self._path) or FALLBACK

    def close(self) -> None:
        self._inotify.close()


def read_servers(path: str) -> tuple[str, ...]:
    """The ``nameserver`` lines of a file, in order; what is no address is left out."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError:
        return ()
    named = (words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")
    return tuple(dict.fromkeys(address for address in named if checked(address)))


class Health:
    """Which servers have been silent lately, so that they are asked last."""

    def __init__(self) -> None:
        self._silent: dict[Server, float] = {}

    def silent(self, server: Server) -> None:
        self._silent[server] = time.monotonic() + _RESTED
        if len(self._silent) > 256:
            self._silent.pop(next(iter(self._silent)))

    def answered(self, server: Server) -> None:
        self._silent.pop(server, None)

    def ordered(self, servers: list[Server]) -> list[Server]:
        if not self._silent:
            return servers
        now = time.monotonic()
        return sorted(servers, key=lambda server: self._silent.get(server, 0.0) > now)
