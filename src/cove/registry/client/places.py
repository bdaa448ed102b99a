"""Where a registry is, by what a user calls it: its addresses in the order in which they are tried."""

import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from cove.errors import InvalidArgument
from cove.registry.client import hosts_file
from cove.registry.client.settings import DEFAULTS, Registries

HUB_HOSTS = frozenset(("docker.io", "index.docker.io", "registry-1.docker.io"))
HUB = "registry-1.docker.io"
"""What Docker Hub's names lead to, its first version's address included."""

ALWAYS_INSECURE = ("127.0.0.0/8", "::1/128")
"""Networks whose registries may be without TLS, as with Docker."""

DEFAULT_DIRECTORY = "_default"
"""Of a directory of certificates: what holds for registries that have none of their own (containerd's name)."""


class Place(NamedTuple):
    """``url``: without a final slash; the API is below its ``/v2``, or at it when it is ``whole``.

    ``verify``: whether its certificate must be good. ``authorities``: files with further certificates to trust.
    ``identities``: certificate and key files that we show. ``headers``: sent with each request. ``mirror``: whether it
    is asked only to read, and without the credentials for the registry.
    """

    url: str
    verify: bool = True
    authorities: tuple[Path, ...] = ()
    identities: tuple[tuple[Path, Path | None], ...] = ()
    headers: Mapping[str, str] = {}
    mirror: bool = False
    whole: bool = False
    namespace: str = ""
    """The registry that a mirror stands for, which it is told as ``ns`` (containerd's registry hosts)."""

    @property
    def is_trusted(self) -> bool:
        """Whether it has shown who it is, so that what it says must not be weakened."""
        return self.verify and self.url.startswith("https://")

    @property
    def api(self) -> str:
        """The URL below which the API is, without a final slash."""
        return self.url if self.whole else f"{self.url}/v2"


def host_of(name: str) -> str:
    """``host[:port]`` of a registry as a user, or a client's configuration, writes it. Raises InvalidArgument."""
    text = name.strip()
    host = urlsplit(text).netloc if "://" in text else text.partition("/")[0]
    if not host or any(character.isspace() for character in host) or "@" in host:
        raise InvalidArgument(f"invalid registry address: {name!r}")
    return HUB if host in HUB_HOSTS else host


def places(host: str, registries: Registries = DEFAULTS, *, reading: bool = True) -> list[Place]:
    """Where to go for a registry: mirrors first when only ``reading``, then itself. Raises InvalidArgument for a bad
    ``hosts.toml``.
    """
    directory = _directory(host, registries.certificates)
    configured = hosts_file.read(directory / hosts_file.NAME) if directory else None
    own = [_dressed(place, directory) for place in _own(host, registries.insecure, configured)]
    if not reading:
        return [*_configured(configured, "push", directory), *own]
    mirrors = _configured(configured, "pull", directory)
    if host == HUB:
        mirrors += [
            _dressed(_mirror(url, registries), _directory(_netloc(url), registries.certificates))
            for url in registries.mirrors
        ]
    return mirrors + own


def is_insecure(host: str, insecure: Sequence[str]) -> bool:
    """Whether a registry may be without TLS."""
    return is_among(host, (*ALWAYS_INSECURE, *insecure))


def is_among(host: str, entries: Sequence[str]) -> bool:
    """Whether a registry is one of these, ``host[:port]`` or CIDR. Names are not looked up, but for ``localhost``."""
    if host in entries:
        return True
    name = urlsplit(f"//{host}").hostname or ""
    try:
        address = ipaddress.ip_address("127.0.0.1" if name == "localhost" else name)
    except ValueError:
        return False
    ranges = (entry for entry in entries if "/" in entry)
    return any(address in ipaddress.ip_network(entry, strict=False) for entry in ranges)


def _own(host: str, insecure: Sequence[str], configured: hosts_file.Hosts | None) -> list[Place]:
    if configured is not None and configured.server:
        return [Place(configured.server.rstrip("/"), verify=not is_insecure(_netloc(configured.server), insecure))]
    if not is_insecure(host, insecure):
        return [Place(f"https://{host}")]
    return [Place(f"https://{host}", verify=False), Place(f"http://{host}")]


def _mirror(url: str, registries: Registries) -> Place:
    return Place(url.rstrip("/"), verify=not is_insecure(_netloc(url), registries.insecure), mirror=True)


def _configured(configured: hosts_file.Hosts | None, capability: str, directory: Path | None) -> list[Place]:
    """What ``hosts.toml`` says, of those that can do this."""
    if configured is None or directory is None:
        return []
    return [
        Place(
            host.url.rstrip("/"),
            verify=not host.skip_verify,
            authorities=tuple(directory / path for path in host.ca),
            identities=tuple(
                (directory / certificate, directory / key if key else None) for certificate, key in host.client
            ),
            headers=host.headers,
            mirror=True,
            whole=host.override_path,
            namespace=directory.name if directory.name != DEFAULT_DIRECTORY else "",
        )
        for host in configured.hosts
        if capability in host.capabilities
    ]


def _directory(host: str, roots: Sequence[Path]) -> Path | None:
    names: tuple[str, ...] = ("docker.io", host) if host == HUB else (host,)
    for root in roots:
        for name in (*names, DEFAULT_DIRECTORY):
            if "/" not in name and name not in ("", ".", "..") and (root / name).is_dir():
                return root / name
    return None


def _dressed(place: Place, directory: Path | None) -> Place:
    """With the certificates of Docker's layout: ``*.crt`` to trust, ``*.cert`` with ``*.key`` to show."""
    if directory is None:
        return place
    files = sorted(directory.iterdir())
    identities = []
    for file in files:
        if file.suffix == ".cert":
            key = file.with_suffix(".key")
            if key not in files:
                raise InvalidArgument(f"missing key {key.name} for client certificate {file.name}: {directory}")
            identities.append((file, key))
        if file.suffix == ".key" and file.with_suffix(".cert") not in files:
            missing = file.with_suffix(".cert").name
            raise InvalidArgument(f"missing client certificate {missing} for key {file.name}: {directory}")
    return place._replace(
        authorities=tuple(file for file in files if file.suffix == ".crt"), identities=tuple(identities)
    )


def _netloc(url: str) -> str:
    return urlsplit(url).netloc
