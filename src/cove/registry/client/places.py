"""Where a registry is, by what a user calls it: its addresses in the order in which they are tried. Pure."""

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from cove.errors import InvalidArgument

HUB_HOSTS = frozenset(("docker.io", "index.docker.io", "registry-1.docker.io"))
HUB = "registry-1.docker.io"
"""What Docker Hub's names lead to, its first version's address included."""

ALWAYS_INSECURE = ("127.0.0.0/8", "::1/128")
"""Networks whose registries may be without TLS, as with Docker."""


class Place(NamedTuple):
    """``url``: without a final slash. ``verify``: whether its certificate must be good."""

    url: str
    verify: bool = True


def host_of(name: str) -> str:
    """``host[:port]`` of a registry as a user, or a client's configuration, writes it. Raises InvalidArgument."""
    text = name.strip()
    host = urlsplit(text).netloc if "://" in text else text.partition("/")[0]
    if not host or any(character.isspace() for character in host) or "@" in host:
        raise InvalidArgument(f"invalid registry address: {name!r}")
    return HUB if host in HUB_HOSTS else host


def places(host: str, insecure: Sequence[str] = ()) -> list[Place]:
    """``insecure``: ``host[:port]`` or CIDR of registries that may be without TLS, or with a bad certificate."""
    if not is_insecure(host, insecure):
        return [Place(f"https://{host}")]
    return [Place(f"https://{host}", verify=False), Place(f"http://{host}")]


def is_insecure(host: str, insecure: Sequence[str]) -> bool:
    """Whether a registry may be without TLS. Names are not looked up, but for ``localhost``."""
    if host in insecure:
        return True
    name = urlsplit(f"//{host}").hostname or ""
    try:
        address = ipaddress.ip_address("127.0.0.1" if name == "localhost" else name)
    except ValueError:
        return False
    ranges = [*ALWAYS_INSECURE, *(entry for entry in insecure if "/" in entry)]
    return any(address in ipaddress.ip_network(entry, strict=False) for entry in ranges)
