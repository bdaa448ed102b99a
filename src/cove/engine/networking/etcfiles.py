"""The files of /etc that the engine writes for a container: hosts, hostname and resolv.conf."""

import hashlib
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

HOST_RESOLV_CONF = Path("/etc/resolv.conf")

_HOST_HOSTS = Path("/etc/hosts")
_STUB = "127.0.0.53"
_BEHIND_STUB = Path("/run/systemd/resolve/resolv.conf")

HOST_GATEWAY = "host-gateway"
"""What stands in --add-host for the host's own address."""

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


def hosts(entries: Iterable[tuple[str, str]], base: str | None = None) -> str:
    """/etc/hosts: the local names (or ``base``), then ``entries``: addresses and their names."""
    text = _lines(_LOCAL_NAMES) if base is None else base
    return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{_lines(entries)}"


def changed_hosts(text: str, entries: Iterable[tuple[str, str]], names: Container[str]) -> str:
    """``text`` with these entries in place of the lines that were for ``names``, each where its names were."""
    lines = text.splitlines()
    fresh = [(f"{address}\t{called}", called) for address, called in entries]
    missing = [(line, called) for line, called in fresh if line not in lines]
    kept = []
    for line in lines:
        called = line.partition("\t")[2]
        if called not in names or any(line == known for known, _called in fresh):
            kept.append(line)
        elif (place := next((each for each in missing if each[1] == called), None)) is not None:
            missing.remove(place)
            kept.append(place[0])
    return "".join(f"{line}\n" for line in (*kept, *(line for line, _called in missing)))


def host_hosts() -> str:
    """The host's /etc/hosts, for containers that are on its network."""
    return _read(_HOST_HOSTS)


def _lines(entries: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{address}\t{names}\n" for address, names in entries)


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
    text = "\n".join(lines) + "\n"
    return f"{text}{_mark(text)}\n"


_EDITABLE = (
    "# Written by Cove.",
    "# While the container runs: once this file has been edited, Cove leaves it as it is.",
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


def written_by_us(text: str) -> bool:
    """A resolv.conf is as it was written: its last line, which ``resolv_conf`` makes, has the hash of the others."""
    body, _, last = text.rstrip("\n").rpartition("\n")
    return last == _mark(body + "\n")


def _mark(body: str) -> str:
    return f"# Hash: {hashlib.sha256(body.encode(errors='replace')).hexdigest()[:16]}"


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
