"""Published ports: what was asked for, who holds which host port, and the sockets that reserve them.

A host port is held three times over: by the primary key of the ``ports`` table, by the claims kept here (a claim on all
addresses excludes one on a single address, which no key can say), and by a bound socket, so that other programs of the
host see that it is taken. The kernel translates traffic before it gets there; what does get there is for the relay.
"""

import errno
import itertools
import logging
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

import msgspec

from cove.errors import Conflict, InvalidArgument, Unavailable
from cove.kernel import sysctl
from cove.network.records import EndpointRecord, PortRecord

log = logging.getLogger(__name__)

WILDCARDS = ("0.0.0.0", "::")
PROTOCOLS = ("tcp", "udp", "sctp")
_BACKLOG = 128


@dataclass(frozen=True)
class PortRequest:
    """A wish to publish ``container_port`` of ``protocol`` (tcp, udp, sctp).

    ``host_address``: "" for the default. ``host_port``: "" for any free one, "8080", or "8000-8010" for one of these:
    as in the Engine API's PortBinding.
    """

    protocol: str
    container_port: int
    host_address: str = ""
    host_port: str = ""


class Target(NamedTuple):
    """Where published ports lead. ``endpoint4``, ``endpoint6``: those with the default routes.

    ``routed4``, ``routed6``: their networks are reached by routing, without ports of the host.
    ``default_address``: of the host, where a request names none; "" for all addresses of both families.
    ``guarded``: the host's own rules for what comes in are to judge what comes to published ports.
    """

    container: str
    name: str
    endpoint4: EndpointRecord | None
    endpoint6: EndpointRecord | None
    routed4: bool = False
    routed6: bool = False
    default_address: str = ""
    guarded: bool = False

    @property
    def address4(self) -> str:
        return self.endpoint4.address4 if self.endpoint4 is not None else ""

    @property
    def address6(self) -> str:
        return self.endpoint6.address6 if self.endpoint6 is not None else ""

    @property
    def place(self) -> str:
        """The endpoint, as messages name it."""
        endpoint = self.endpoint4 or self.endpoint6
        return f"endpoint {self.name} ({endpoint.id if endpoint else ''})"

    def reached_at(self, protocol: str, address: str) -> str:
        """The container's address for traffic to a host address; "" when there is no way from one to the other."""
        same, other = (self.address6, self.address4) if ":" in address else (self.address4, self.address6)
        return same or (other if protocol != "sctp" else "")  # which the relay does not carry

    def routed(self, address: str) -> bool:
        return self.routed6 if ":" in address else self.routed4


class HostPorts:
    """The host ports that containers of this daemon hold.

    ``default_address``: where to publish when a request names no address, "" for all addresses of both families.
    """

    def __init__(self, default_address: str = "") -> None:
        self._default_address = default_address
        self._claims: dict[tuple[str, int], set[str]] = {}
        self._sockets: dict[tuple[str, str, int], socket.socket] = {}
        self._next = 0

    def claim(self, target: Target, requests: Iterable[PortRequest]) -> list[PortRecord]:
        """Take host ports for a container; all of them or, on any error, none.

        Raises InvalidArgument (not a port, not an address), Conflict in Docker's words when a port is taken.
        """
        taken: dict[PortRecord, None] = {}
        try:
            for request in requests:
                taken |= dict.fromkeys(self._claim(target, request))
        except OSError as error:
            self.release(taken)
            raise Conflict(
                f"driver failed programming external connectivity on {target.place}: {error.strerror}"
            ) from error
        except BaseException:
            self.release(taken)
            raise
        return list(taken)

    def retarget(
        self, ports: Iterable[PortRecord], target: Target
    ) -> tuple[tuple[PortRecord, ...], tuple[PortRecord, ...]]:
        """Published ports as they are when they lead elsewhere: those that are kept, and those that cannot be."""
        kept, gone = [], []
        for port in ports:
            reached = target.reached_at(port.protocol, port.address)
            if port.routed:
                stays = reached == port.target and target.routed(reached)
            else:
                stays = bool(reached) and not target.routed(reached)
            if stays:
                kept.append(msgspec.structs.replace(port, target=reached, guarded=target.guarded))
            else:
                gone.append(port)
        return tuple(kept), tuple(gone)

    def restore(self, ports: Iterable[PortRecord]) -> None:
        """Hold ports that the database says are published, whether or not their sockets can be bound again."""
        for port in (port for port in ports if not port.routed):
            try:
                self._hold(port)
            except OSError as error:
                self._claims.setdefault((port.protocol, port.port), set()).add(port.address)
                log.warning("port %s/%s of container %s: %s", port.port, port.protocol, port.container, error.strerror)

    def release(self, ports: Iterable[PortRecord]) -> None:
        """Give ports back; those that are not held are skipped."""
        for port in ports:
            if (reservation := self._sockets.pop((port.protocol, port.address, port.port), None)) is not None:
                reservation.close()
            claims = self._claims.get((port.protocol, port.port), set())
            claims.discard(port.address)
            if not claims:
                self._claims.pop((port.protocol, port.port), None)

    def listener(self, port: PortRecord) -> socket.socket | None:
        """The socket that reserves a port, for the relay; None for a protocol that has none."""
        return self._sockets.get((port.protocol, port.address, port.port))

    def close(self) -> None:
        for reservation in self._sockets.values():
            reservation.close()
        self._sockets.clear()

    def _claim(self, target: Target, request: PortRequest) -> list[PortRecord]:
        check_request(request)
        if target.guarded and request.protocol == "sctp":
            raise InvalidArgument("sctp cannot be published here: no relay carries it, and publish is respect-input")
        if not (target.address4 or target.address6):
            return []
        failure: OSError | None = None
        for port in self._candidates(request.host_port):
            try:
                return self._claim_at(target, request, port)
            except OSError as error:
                failure = error
        raise failure or Unavailable("all ports are allocated")

    def _candidates(self, wanted: str) -> Iterator[int]:
        """The host ports that a request may get, in the order in which they are tried."""
        if wanted not in ("", "0"):
            first, _, last = wanted.partition("-")
            yield from range(int(first), int(last or first) + 1)
            return
        low, high = (int(bound) for bound in sysctl.read("net/ipv4/ip_local_port_range").split())
        start = min(max(self._next, low), high)
        for port in itertools.chain(range(start, high + 1), range(low, start)):
            self._next = port + 1 if port < high else low
            yield port

    def _claim_at(self, target: Target, request: PortRequest, port: int) -> list[PortRecord]:
        """One record per host address. Raises OSError, with words for the user, when the port is taken on any."""
        chosen = request.host_address or target.default_address or self._default_address
        taken: list[PortRecord] = []
        try:
            for address in (chosen,) if chosen else WILDCARDS:
                reached = target.reached_at(request.protocol, address)
                if not reached:
                    continue
                if target.routed(reached):
                    if (":" in reached) == (":" in address):
                        taken.append(_routed(target, request, reached))
                    continue
                record = PortRecord(
                    request.protocol,
                    address,
                    port,
                    target.container,
                    reached,
                    request.container_port,
                    guarded=target.guarded,
                )
                if self._hold(record, optional=not chosen and address == "::"):
                    taken.append(record)
        except BaseException:
            self.release(taken)
            raise
        return taken

    def _hold(self, port: PortRecord, optional: bool = False) -> bool:
        """Reserve a port; False when it is ``optional`` and the host does not have the address family."""
        claims = self._claims.get((port.protocol, port.port), set())
        if any(_overlap(port.address, other) for other in claims):
            raise OSError(
                errno.EADDRINUSE, f"Bind for {_join(port.address, port.port)} failed: port is already allocated"
            )
        try:
            reservation = _reserve(port)
        except OSError as error:
            if optional and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                return False
            raise OSError(error.errno, _refusal(port, error)) from error
        if reservation is not None:
            self._sockets[port.protocol, port.address, port.port] = reservation
        self._claims.setdefault((port.protocol, port.port), set()).add(port.address)
        return True


def check_request(request: PortRequest) -> None:
    """What can be said of a request before a port is claimed. Raises InvalidArgument, for protocol, port or address."""
    if request.protocol not in PROTOCOLS:
        raise InvalidArgument(f"invalid protocol {request.protocol!r}: it must be tcp, udp or sctp")
    if not 0 < request.container_port < 65536:
        raise InvalidArgument(f"invalid container port {request.container_port}")
    if request.host_address:
        try:
            ip_address(request.host_address)
        except ValueError as error:
            raise InvalidArgument(f"invalid host address {request.host_address!r}") from error
    bounds = request.host_port.split("-") if request.host_port else []
    if len(bounds) > 2 or not all(bound.isascii() and bound.isdigit() and int(bound) < 65536 for bound in bounds):
        raise InvalidArgument(f'invalid port specification: "{request.host_port}"')
    if len(bounds) == 2 and not 0 < int(bounds[0]) <= int(bounds[1]):
        raise InvalidArgument(f'invalid port specification: "{request.host_port}"')


def _routed(target: Target, request: PortRequest, address: str) -> PortRecord:
    number = request.container_port
    return PortRecord(request.protocol, address, number, target.container, address, number, routed=True)


def _overlap(address: str, other: str) -> bool:
    if (":" in address) != (":" in other):
        return False
    return address == other or address in WILDCARDS or other in WILDCARDS


def _reserve(port: PortRecord) -> socket.socket | None:
    """A socket bound to a host port, listening for TCP; None for SCTP, which not every kernel has sockets for."""
    if port.protocol == "sctp":
        return None
    family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    reservation = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            reservation.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:  # connections of a former holder that are in TIME_WAIT are no obstacle
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind((port.address, port.port))
        if kind == socket.SOCK_STREAM:
            reservation.listen(_BACKLOG)
    except BaseException:
        reservation.close()
        raise
    return reservation


def _refusal(port: PortRecord, error: OSError) -> str:
    reason = os.strerror(error.errno or errno.EIO)
    target = _join(port.target, port.container_port)
    place = f"{_join(port.address, port.port)}:{target}/{port.protocol}"
    return f"failed to bind host port for {place}: {reason[0].lower()}{reason[1:]}"


def _join(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
