"""The ports of EXPOSE."""

import ipaddress
from dataclasses import dataclass

from cove.dockerfile.failure import DockerfileError
from cove.dockerfile.text import quoted

_PROTOCOLS = ("tcp", "udp", "sctp")
_LAST = 65535


@dataclass(frozen=True, slots=True)
class Exposed:
    """One word of EXPOSE; parts of the host have no meaning and are deprecated."""

    first: int
    last: int
    protocol: str
    """As it is written; ``tcp`` when it is not."""
    host: bool
    """Whether it has an address or a port of the host."""

    @property
    def ports(self) -> tuple[str, ...]:
        """``80/tcp`` for each port."""
        return tuple(f"{port}/{self.protocol.lower()}" for port in range(self.first, self.last + 1))


def parse_port(text: str) -> Exposed:
    """``[[address:]host:]port[-port][/protocol]``. Raises DockerfileError in BuildKit's words."""
    *host, container = text.split(":") if text.count(":") < 3 else text.rsplit(":", 2)
    port, _, protocol = container.partition("/")
    if not port:
        raise DockerfileError(f"invalid port: {quoted(text)}: no port specified", culprit=text)
    if protocol and protocol.lower() not in _PROTOCOLS:
        raise DockerfileError(f"invalid port: {quoted(text)}: invalid proto: {protocol}", culprit=text)
    if len(host) == 2 and host[0]:
        _check_address(host[0])
    ports = _range(port, f"invalid containerPort: {port}")
    if host and host[-1]:
        _check_host_ports(host[-1], port, ports)
    return Exposed(*ports, protocol or "tcp", host=any(host))


def _check_address(text: str) -> None:
    address = text.removeprefix("[").removesuffix("]") if text.startswith("[") else text
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise DockerfileError(f"invalid IP address: {address}", culprit=text) from None


def _check_host_ports(text: str, port: str, ports: tuple[int, int]) -> None:
    first, last = _range(text, f"invalid hostPort: {text}")
    if last - first != ports[1] - ports[0] != 0:
        message = f"invalid ranges specified for container and host Ports: {port} and {text}"
        raise DockerfileError(message, culprit=text)


def _range(text: str, message: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    numbers = (_number(first), _number(last if dash else first))
    if numbers[0] is None or numbers[1] is None or numbers[1] < numbers[0]:
        raise DockerfileError(message, culprit=text)
    return numbers[0], numbers[1]


def _number(text: str) -> int | None:
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 20 or int(digits) > _LAST:
        return None
    return int(digits)
