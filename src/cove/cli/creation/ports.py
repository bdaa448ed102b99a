"""Published ports: ``[[address:]hostPort:]containerPort[/protocol]``, with ranges; and ``--expose``."""

from __future__ import annotations

from cove.cli.creation.kinds import is_address
from cove.flags import parse_fields

Binding = dict[str, str]

_PROTOCOLS = ("tcp", "udp", "sctp")


def publish(specs: list[str]) -> dict[str, list[Binding]]:
    """The API's PortBindings: ``{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}``. Raises ValueError."""
    bindings: dict[str, list[Binding]] = {}
    for spec in specs:
        for port, binding in _bindings(_short_form(spec)):
            bindings.setdefault(port, []).append(binding)
    return bindings


def exposed(specs: list[str]) -> list[str]:
    """``--expose 80``, ``80-82/udp`` → ``80/tcp`` and so on. Raises ValueError."""
    ports = []
    for spec in specs:
        if ":" in spec:
            raise ValueError(f"invalid port format for --expose: {spec}")
        text, _, protocol = spec.partition("/")
        protocol = (protocol or "tcp").lower()
        try:
            first, last = port_range(text)
        except ValueError as error:
            raise ValueError(f"invalid range format for --expose: {spec}, error: {error}") from None
        if protocol not in _PROTOCOLS:
            raise ValueError(f"invalid proto: {protocol}")
        ports += [f"{port}/{protocol}" for port in range(first, last + 1)]
    return ports


def port_range(text: str) -> tuple[int, int]:
    """``80`` or ``80-82`` as the first and last port. Raises ValueError."""
    if not text:
        raise ValueError("empty string specified for ports")
    first, dash, last = text.partition("-")
    numbers = [_port(first), _port(last if dash else first)]
    if numbers[1] < numbers[0]:
        raise ValueError(f"invalid range specified for port: {text}")
    return numbers[0], numbers[1]


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > 65535:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _short_form(spec: str) -> str:
    """``published=8080,target=80,protocol=udp`` in the short form; a short form as it is."""
    if "=" not in spec:
        return spec
    fields = {"protocol": "tcp", "published": "", "target": ""}
    for field in parse_fields(spec):
        key, equals, value = field.partition("=")
        if not equals or not key:
            raise ValueError(f"invalid publish opts format (should be name=value but got '{field}')")
        fields[key] = value
    return f"{fields['published']}:{fields['target']}/{fields['protocol']}"


def _bindings(spec: str) -> list[tuple[str, Binding]]:
    address, host, container, protocol = _parts(spec)
    try:
        first, last = port_range(container)
    except ValueError:
        raise ValueError(f"invalid containerPort: {container}") from None
    host_first, host_last = 0, 0
    if host:
        try:
            host_first, host_last = port_range(host)
        except ValueError:
            raise ValueError(f"invalid hostPort: {host}") from None
    if host and last - first != host_last - host_first and last != first:
        raise ValueError(f"invalid ranges specified for container and host Ports: {container} and {host}")
    found = []
    for step in range(last - first + 1):
        chosen = str(host_first + step) if host else ""
        if first == last and host_first != host_last:
            chosen = f"{host_first}-{host_last}"
        found.append((f"{first + step}/{protocol}", {"HostIp": address, "HostPort": chosen}))
    return found


def _parts(spec: str) -> tuple[str, str, str, str]:
    """The address, host port, container port and protocol of a short form; the address may be IPv6."""
    *front, rest = spec.split(":")
    host = front.pop() if front else ""
    address = ":".join(front)
    if address.startswith("["):
        if not address.endswith("]"):
            raise ValueError(f"invalid IP address {address}: address {address}:: missing ']' in address")
        address = address[1:-1]
    if address and not is_address(address):
        raise ValueError(f"invalid IP address: {address}")
    container, _, protocol = rest.partition("/")
    if not container:
        raise ValueError(f"no port specified: {spec}<empty>")
    protocol = (protocol or "tcp").lower()
    if protocol not in _PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    return address, host, container, protocol
