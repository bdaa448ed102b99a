"""The files of /etc that the engine writes for a container: hosts, hostname and resolv.conf."""

from collections.abc import Iterable, Sequence
from pathlib import Path

HOST_RESOLV_CONF = Path("/etc/resolv.conf")

FALLBACK_RESOLVERS = ("8.8.8.8", "8.8.4.4")
"""Docker's choice when the host has no resolver that a container could reach."""

_LOCAL_NAMES = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::", "ip6-localnet"),
    ("ff00::", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)


def hosts(own: Iterable[tuple[str, str]], extra: Iterable[tuple[str, str]]) -> str:
    """/etc/hosts: the local names, ``extra`` (--add-host) and the container's ``own`` addresses with its names."""
    return "".join(f"{address}\t{names}\n" for address, names in (*_LOCAL_NAMES, *extra, *own))


def resolv_conf(
    host: str, servers: Sequence[str], search: Sequence[str], options: Sequence[str], *, own_loopback: bool
) -> str:
    """/etc/resolv.conf: the host's, with what the user gave in place of it.

    ``own_loopback``: the container has a loopback of its own, so that the host's resolvers on 127.* and ::1 are out of
    its reach and dropped.
    """
    kept: dict[str, list[str]] = {"nameserver": [], "search": [], "options": []}
    for line in host.splitlines():
        keyword, *rest = line.replace(";", "#").split("#")[0].split() or [""]
        if keyword in ("domain", "search"):
            kept["search"] = rest
        elif keyword in kept:
            kept[keyword] += rest
    nameservers = list(servers) or [
        server for server in kept["nameserver"] if not (own_loopback and (server.startswith("127.") or server == "::1"))
    ]
    lines = [f"nameserver {server}" for server in nameservers or FALLBACK_RESOLVERS]
    domains = [domain for domain in (list(search) or kept["search"]) if domain != "."]
    if domains:
        lines.append("search " + " ".join(domains))
    chosen = list(options) or kept["options"]
    if chosen:
        lines.append("options " + " ".join(chosen))
    return "\n".join(lines) + "\n"


def host_resolv_conf() -> str:
    """The host's file, or nothing when it has none."""
    try:
        return HOST_RESOLV_CONF.read_text(errors="replace")
    except OSError:
        return ""
