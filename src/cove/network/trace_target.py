"""What a user names as the target of a trace: ``web:80/udp``, ``192.0.2.1``, ``[2001:db8::1]:443``. Pure."""

from ipaddress import ip_address
from typing import NamedTuple

from cove.errors import InvalidArgument
from cove.network.packet import Address

PROTOCOLS = ("tcp", "udp", "sctp")
LONGEST = 255
"""Characters, as of a domain name (RFC 1035)."""


class Target(NamedTuple):
    """``host``: a container, a name or an address. ``port``: 0 for none, and then ``protocol`` is icmp."""

    host: str
    port: int
    protocol: str

    @property
    def address(self) -> Address | None:
        try:
            return ip_address(self.host)
        except ValueError:
            return None


def parse_target(text: str) -> Target:
    """Raises InvalidArgument."""
    if not text or len(text) > LONGEST + len(":65535/sctp"):
        raise InvalidArgument("invalid target: it must be CONTAINER|ADDRESS|NAME[:PORT[/PROTOCOL]]")
    host, colon, port = _split(text)
    if not host:
        raise InvalidArgument(f"invalid target {text!r}: it must be CONTAINER|ADDRESS|NAME[:PORT[/PROTOCOL]]")
    if not colon:
        return Target(host, 0, "icmp")
    number, _, protocol = port.partition("/")
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 65536):
        raise InvalidArgument(f"invalid target {text!r}: {number!r} is no port")
    if protocol not in ("", *PROTOCOLS):
        raise InvalidArgument(f"invalid target {text!r}: the protocol must be {', '.join(PROTOCOLS)}")
    return Target(host, int(number), protocol or "tcp")


def _split(text: str) -> tuple[str, str, str]:
    """Host, a colon where a port is to follow, and that; no host where a bracket is open, or something follows it."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        return host if closed and rest[:1] in ("", ":") else "", rest[:1], rest[1:]
    if text.count(":") > 1:
        return text, "", ""
    return text.partition(":")
