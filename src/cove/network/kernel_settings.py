"""Settings of the kernel that networks need on the host, below /proc/sys/net: turned on, and told of in ``info``."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from cove.kernel import sysctl

log = logging.getLogger(__name__)

_FORWARD4, _FORWARD6 = "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"
_CONF6 = Path("/proc/sys/net/ipv6/conf")
_ADVERTISED, _ADVERTISED_TO_ROUTERS = "1", "2"
"""Values of accept_ra: while the link forwards nothing, and also while it does (ip-sysctl.rst of the kernel)."""


class KernelSettings:
    """Of one network namespace, the host's. Nothing is turned off again: others may have come to rely on it."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}

    @property
    def kept(self) -> list[str]:
        """What networks need and have, as ``net.ipv4.ip_forward=1``."""
        return [f"{name.replace('/', '.')}={value}" for name, value in sorted(self._kept.items())]

    def turn_on(self, name: str) -> None:
        """Raises OSError."""
        self._set(name, "1")

    def forward4(self) -> None:
        """Raises OSError."""
        self.turn_on(_FORWARD4)

    def forward6(self) -> None:
        """Forward IPv6, and have the host's links go on to listen to their routers.

        A host that forwards takes itself for a router: it forgets its default routes and hears no advertisement any
        more, unless a link is told to (``accept_ra`` 2). Raises OSError.
        """
        if sysctl.read(_FORWARD6) != "1":
            for name in _listening():
                with contextlib.suppress(FileNotFoundError):  # the link has just gone
                    self._set(name, _ADVERTISED_TO_ROUTERS)
        self.turn_on(_FORWARD6)

    def forget(self, link: str) -> None:
        """A link is gone, and its settings with it."""
        self._kept = {name: value for name, value in self._kept.items() if f"/conf/{link}/" not in name}

    def _set(self, name: str, value: str) -> None:
        if sysctl.write(name, value):
            log.info("set %s to %s, which containers' ways in and out need", name.replace("/", "."), value)
        self._kept[name] = value


def _listening() -> Iterator[str]:
    """``accept_ra`` of each link that listens to routers, and of those that are still to come (``default``)."""
    for link in sorted(_CONF6.iterdir()):
        name = f"net/ipv6/conf/{link.name}/accept_ra"
        with contextlib.suppress(FileNotFoundError):
            if link.name not in ("all", "lo") and sysctl.read(name) == _ADVERTISED:
                yield name
