"""The files of /etc that the engine writes for a container: hosts, hostname and resolv.conf."""

import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

HOST_RESOLV_CONF = Path("/etc/resolv.conf")

_STUB = "127.0.0.53"
_BEHIND_STUB = Path("/run/systemd/resolve/resolv.conf")

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


RESOLVER = "127.0.0.11"
"""Where the resolver answers in the containers of user networks."""


class Wishes(NamedTuple):
    """What a user gave, in place of what the host has."""

    servers: Sequence[str] = ()
    search: Sequence[str] = ()
    options: Sequence[str] = ()


def resolv_conf(host: str, wishes: Wishes, *, own_loopback: bool, resolver: bool) -> str:
    """/etc/resolv.conf: the host's, with what the user gave in place of it; comments say where it is from.

    ``own_loopback``: the container has a loopback of its own, so that the host's resolvers on 127.* and ::1 are out of
    its reach and dropped. ``resolver``: it asks ours, which asks those servers.
    """
    kept = _host_lines(host)
    servers = list(wishes.servers) or kept["nameserver"]
    reachable = list(wishes.servers) or [
        server for server in servers if not (own_loopback and (server.startswith("127.") or server == "::1"))
    ]
    options = list(wishes.options) or kept["options"]
    if resolver and not any(option.startswith("ndots:") for option in options):
        options.append("ndots:0")
    lines = [*_EDITABLE, ""]
    lines += [f"nameserver {server}" for server in ([RESOLVER] if resolver else reachable or FALLBACK_RESOLVERS)]
    domains = [domain for domain in (list(wishes.search) or kept["search"]) if domain != "."]
    lines += ["search " + " ".join(domains)] if domains else []
    lines += ["options " + " ".join(options)] if options else []
    given = [name for name, values in zip(("nameservers", "search", "options"), wishes, strict=True) if values]
    lines += ["", f"# Based on host file: '{HOST_RESOLV_CONF}' ({'internal resolver' if resolver else 'legacy'})"]
    if resolver:
        asked = servers if wishes.servers else [f"host({server})" for server in servers or FALLBACK_RESOLVERS]
        lines.append(f"# ExtServers: [{' '.join(asked)}]")
    lines.append(f"# Overrides: [{' '.join(given)}]")
    return "\n".join(lines) + "\n"


_EDITABLE = (
    "# Written by Cove.",
    "# Once this file has been edited, Cove leaves it as it is.",
)


def _host_lines(host: str) -> dict[str, list[str]]:
    kept: dict[str, list[str]] = {"nameserver": [], "search": [], "options": []}
    for line in host.splitlines():
        keyword, *rest = line.replace(";", "#").split("#")[0].split() or [""]
        if keyword in ("domain", "search"):
            kept["search"] = rest
        elif keyword in kept:
            kept[keyword] += rest[:1] if keyword == "nameserver" else rest
    return kept


def host_resolv_conf(*, reachable: bool) -> str:
    """The host's file, or nothing when it has none.

    ``reachable``: where it only names systemd-resolved's own address, the servers behind that are wanted.
    """
    text = _read(HOST_RESOLV_CONF)
    if reachable and _host_lines(text)["nameserver"] == [_STUB]:
        return _read(_BEHIND_STUB) or text
    return text


def write_unless_edited(path: Path, text: str) -> None:
    """Write a file, unless somebody has changed it since this wrote it last; in place, because it may be mounted."""
    mark = path.with_name(f"{path.name}.hash")
    with contextlib.suppress(OSError):
        if (known := mark.read_text()) and known != _digest(path.read_bytes()):
            return
    path.write_text(text)
    mark.write_text(_digest(text.encode()))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
