"""What a container publishes, changed while it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import msgspec

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.networking.connectivity import Connectivity, network_mode, split_port
from cove.errors import Conflict, InvalidArgument
from cove.network import PortRecord, PortRequest, check_request
from cove.wire.containers import ContainerUpdate
from cove.wire.host_config import PortBinding

Bindings = dict[str, list[PortBinding] | None]


@dataclass(frozen=True)
class Edit:
    """``bindings``: what is asked for from now on. ``gone``: ports that end, ``requests``: what is to be claimed."""

    bindings: Bindings
    gone: tuple[PortRecord, ...]
    requests: tuple[PortRequest, ...]


class Publications:
    """Applies edits to containers that run or not."""

    def __init__(self, registry: Registry, connectivity: Connectivity) -> None:
        self._registry = registry
        self._connectivity = connectivity

    def plan(self, container: Container, request: ContainerUpdate) -> Edit | None:
        """None when the request is not about ports. Raises InvalidArgument, Conflict."""
        if not (request.publish_add or request.publish_remove):
            return None
        mode = network_mode(container)
        if mode in ("host", "none") or mode.startswith("container:"):
            raise Conflict(f"conflicting options: port publishing and the network mode {mode}")
        held = self._connectivity.ports(container) if container.running else ()
        return edited(container.record.host_config.port_bindings or {}, held, request)

    async def apply(self, container: Container, edit: Edit) -> None:
        """Carry an edit out and save the record; on an error all is as before. Under the container's lock."""
        record = container.record
        before = record.host_config, record.config
        record.host_config = msgspec.structs.replace(record.host_config, port_bindings=edit.bindings or None)
        fresh: dict[str, dict[str, object]] = {f"{wish.container_port}/{wish.protocol}": {} for wish in edit.requests}
        exposed = {**fresh, **(record.config.exposed_ports or {})}
        record.config = msgspec.structs.replace(record.config, exposed_ports=exposed or None)
        try:
            if container.running:
                await self._connectivity.republish(
                    container, edit.gone, edit.requests, self._registry.saving(container)
                )
            else:
                await self._registry.save(container)
        except BaseException:
            record.host_config, record.config = before
            raise


def edited(
    bindings: Mapping[str, list[PortBinding] | None], held: Sequence[PortRecord], request: ContainerUpdate
) -> Edit:
    """An edit of what is published now (``held``, nothing when it does not run). Pure.

    Raises InvalidArgument, and Conflict for a port that the container would publish twice: its next start would fail.
    """
    left = {key: list(wishes or [PortBinding()]) for key, wishes in bindings.items()}
    gone: dict[PortRecord, None] = {}
    for text in request.publish_remove or ():
        gone |= dict.fromkeys(_remove(left, held, text))
    requests = []
    for key, wishes in (request.publish_add or {}).items():
        number, protocol = split_port(key)
        for wish in wishes or [PortBinding()]:
            asked = PortRequest(protocol, number, wish.host_ip, wish.host_port)
            check_request(asked)
            _refuse_twice(left, protocol, wish)
            requests.append(asked)
            left.setdefault(f"{number}/{protocol}", []).append(wish)
    return Edit({key: wishes for key, wishes in left.items() if wishes}, tuple(gone), tuple(requests))


def _remove(left: dict[str, list[PortBinding]], held: Sequence[PortRecord], text: str) -> list[PortRecord]:
    """Take the wish for a port of the host from ``left``; the ports that it stands for."""
    address, port, protocol = parse_host_port(text)
    meant = [record for record in held if (record.port, record.protocol) == (port, protocol) and not record.routed]
    targets = {record.container_port for record in meant}
    named = [(key, wish) for key, wish in _wishes(left, protocol) if wish.host_port == str(port)]
    chosen = [
        (key, wish)
        for key, wish in _wishes(left, protocol)
        if not _is_number(wish.host_port) and split_port(key)[0] in targets
    ]
    for key, wish in (*named, *chosen):  # one that left the choice to us comes second
        if _same(address, wish.host_ip):
            left[key].remove(wish)
            number = split_port(key)[0]
            return [held for held in meant if held.container_port == number and _same(wish.host_ip, held.address)]
    raise InvalidArgument(f"the container does not publish port {text} (or by --publish-all alone)")


def _refuse_twice(left: dict[str, list[PortBinding]], protocol: str, wish: PortBinding) -> None:
    for _, other in _wishes(left, protocol):
        if _is_number(wish.host_port) and wish.host_port == other.host_port and _meet(wish.host_ip, other.host_ip):
            address = f"[{wish.host_ip}]" if ":" in wish.host_ip else wish.host_ip or "0.0.0.0"
            raise Conflict(f"Bind for {address}:{wish.host_port} failed: port is already allocated")


def _meet(one: str, other: str) -> bool:
    """Whether what comes to one address of the host comes to the other; "" is the network's choice, of any."""
    if not (one and other):
        return one == other or ip_address(one or other).is_unspecified
    first, second = ip_address(one), ip_address(other)
    return first.version == second.version and (first == second or first.is_unspecified or second.is_unspecified)


def _wishes(left: dict[str, list[PortBinding]], protocol: str) -> list[tuple[str, PortBinding]]:
    """Those of one protocol, with their keys."""
    return [(key, wish) for key, wishes in left.items() for wish in wishes if split_port(key)[1] == protocol]


def parse_host_port(text: str) -> tuple[str, int, str]:
    """``[ADDRESS:]PORT[/PROTOCOL]``, an IPv6 address in brackets. Raises InvalidArgument."""
    rest, _, protocol = text.partition("/")
    address, _, port = rest.rpartition(":")
    address = address.removeprefix("[").removesuffix("]")
    try:
        if address:
            ip_address(address)
        if not (_is_number(port) and 0 < int(port) < 65536) or protocol not in ("", "tcp", "udp", "sctp"):
            raise ValueError
    except ValueError:
        raise InvalidArgument(f'invalid port specification: "{text}"') from None
    return address, int(port), protocol or "tcp"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) > 0


def _same(address: str, other: str) -> bool:
    """Whether two addresses of the host are one; "" stands for any."""
    return not address or address == other
