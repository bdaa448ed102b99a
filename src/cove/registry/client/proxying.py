"""Which proxy a URL is fetched through. Pure but for the environment."""

import ipaddress
import urllib.request
from urllib.parse import urlsplit

from cove.registry.client.settings import Proxies


def proxy_for(url: str, proxies: Proxies) -> str | None:
    """The proxy's URL, or None for a direct connection: as configured, else the environment's; loopback has none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_loopback(host):
        return None
    environment = urllib.request.getproxies_environment()
    configured = proxies.https if parts.scheme == "https" else proxies.http
    proxy = configured or environment.get(parts.scheme, "")
    if not proxy:
        return None
    without = proxies.without or environment.get("no", "")
    if _is_named(host, parts.port or (443 if parts.scheme == "https" else 80), without):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_named(host: str, port: int, without: str) -> bool:
    """Whether ``NO_PROXY`` names a host: ``*``, names with all below them, addresses, CIDR; a port may follow."""
    return any(_matches(host, port, entry.strip().lower()) for entry in without.split(",") if entry.strip())


def _matches(host: str, port: int, entry: str) -> bool:
    if entry == "*":
        return True
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit() and "/" not in entry and name.count(":") == 0:
        if int(wanted) != port:
            return False
        entry = name
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        entry = entry.removeprefix("*")
        return host == entry.removeprefix(".") or host.endswith("." + entry.removeprefix("."))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
