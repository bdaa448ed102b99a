"""Egress policies as users write them."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_network

from cove.errors import InvalidArgument

_NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)


@dataclass(frozen=True)
class EgressPolicy:
    """``names``: domain names with their ports, ``networks``: CIDR with theirs (``443/tcp``); no ports: all of it.

    ``learns``: everything passes, and is noted.
    """

    names: dict[str, list[str]] = field(default_factory=dict)
    networks: dict[str, list[str]] = field(default_factory=dict)
    learns: bool = False

    def ports_of(self, name: str) -> list[str] | None:
        """The ports of a domain name that may be reached, none being all; None when the name may not be asked for."""
        labels = name.lower().rstrip(".").split(".")
        wanted = [".".join(labels), *("*." + ".".join(labels[start:]) for start in range(1, len(labels)))]
        return next((self.names[known] for known in wanted if known in self.names), None)


def parse_policy(text: str) -> EgressPolicy | None:
    """``deny``, ``learn``, ``allow=example.org,*.cdn.test:443,10.0.0.0/8:53/udp,[2001:db8::]/32:443``, "" for none.

    Raises InvalidArgument.
    """
    mode, _, listed = text.partition("=")
    if not text or (mode == "none" and not listed):
        return None
    if mode == "deny" and not listed:
        return EgressPolicy()
    if mode == "learn" and not listed:
        return EgressPolicy(learns=True)
    if mode != "allow" or not listed:
        raise InvalidArgument(
            f"invalid egress policy {text!r}: it must be none, deny, learn or allow=NAME|CIDR[:PORT[/PROTO]],…"
        )
    policy = EgressPolicy()
    for entry in listed.split(","):
        target, ports = _entry(entry.strip(), text)
        known = policy.networks if _is_network(target) else policy.names
        if known is policy.networks:
            target = str(ip_network(target, strict=False))
        elif not _NAME.fullmatch(target):
            raise InvalidArgument(f"invalid egress policy {text!r}: {entry!r} is no name, address or network")
        already = known.setdefault(target, list(ports))
        known[target] = [*already, *(port for port in ports if port not in already)] if already and ports else []
    return policy


def _entry(entry: str, text: str) -> tuple[str, list[str]]:
    """The name or network, and its ports."""
    if entry.startswith("["):
        address, closed, rest = entry[1:].partition("]")
        length, colon, port = rest.partition(":")
        target = address + length if closed else entry  # which is no address then
    elif entry.count(":") > 1:
        target, colon, port = entry, "", ""
    else:
        target, colon, port = entry.lower().rstrip(".").partition(":")
    if not colon:
        return target, []
    number, _, protocol = port.partition("/")
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 65536) or protocol not in ("", "tcp", "udp"):
        raise InvalidArgument(f"invalid egress policy {text!r}: {port!r} is no port")
    return target, [f"{int(number)}/{protocol or 'tcp'}"]


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
