"""How registries are reached: what the daemon's configuration says about them."""

from pathlib import Path
from typing import NamedTuple

from cove.registry.client.answered import Answered

CERTIFICATES = (Path("/etc/cove/certs.d"), Path("/etc/docker/certs.d"))
"""Directories with one directory for each registry: certificates, keys and ``hosts.toml``; the first one counts."""


class Proxies(NamedTuple):
    """URLs for each scheme, empty for what the environment says. ``without``: hosts, as in ``NO_PROXY``."""

    http: str = ""
    https: str = ""
    without: str = ""


class Patience(NamedTuple):
    """``seconds``: of silence until a registry counts as gone. ``rate``: bytes per second that a body must have, as
    looked at every ``window`` seconds. ``backoff``: seconds before the second attempt, doubled for each further one;
    ``longest``: the most that a wait, also one that a registry asks for, may be. ``taking``:
    seconds for an answer to what was sent, of which much may still be in buffers on the way. ``connecting``: seconds
    until a connection must stand.
    """

    seconds: float = 60.0
    rate: int = 1024
    window: float = 60.0
    backoff: float = 0.5
    longest: float = 30.0
    taking: float = 600.0
    connecting: float = 20.0


class Registries(NamedTuple):
    """``mirrors``: URLs that are asked for Docker Hub's images first. ``insecure``: ``host[:port]`` or CIDR.

    ``foreign``: those that layers that are not to be distributed may be pushed to, in the same form.
    ``attempts``: at each request to a registry and each part of a blob; mirrors have one. ``uploads``: blobs at once
    in a push. ``answered``: where registries answered before, of one daemon.
    """

    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    certificates: tuple[Path, ...] = CERTIFICATES
    proxies: Proxies = Proxies()
    attempts: int = 5
    uploads: int = 5
    patience: Patience = Patience()
    answered: Answered | None = None


DEFAULTS = Registries()
