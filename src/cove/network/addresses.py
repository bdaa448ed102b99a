"""Address pools: subnets for networks, addresses for endpoints, and the MAC that follows from an address.

The database's UNIQUE constraint is what makes an address unique; a pool here remembers what is free, so that taking one
does not look at the others.
"""

import heapq
import secrets
from collections.abc import Collection, Iterable
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from cove.errors import Conflict, Forbidden, InvalidArgument, Unavailable
from cove.network.records import ROUTE_KEYS, Pool

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


class AddressPool:
    """The free addresses of one subnet. ``take`` gives the lowest one, in O(log n)."""

    def __init__(self, owner: str, pool: Pool) -> None:
        """``owner``: the network, as messages name it. Raises InvalidArgument when the pool contradicts itself."""
        self.subnet = parse_subnet(pool.subnet)
        self.gateway = pool.auxiliary.get(ROUTE_KEYS[pool.version]) or pool.gateway
        self._owner = owner
        inner = parse_subnet(pool.range) if pool.range else self.subnet
        if not _contains(self.subnet, inner):
            raise InvalidArgument(f"invalid ip-range {inner}: not within subnet {self.subnet}")
        self._next, self._last = _bounds(self.subnet, inner)
        self._freed: list[int] = []
        self.first, self.last = self._next, self._last
        fixed = filter(None, (pool.gateway, *pool.auxiliary.values()))
        self._taken = {int(self._within(text, "gateway or auxiliary")) for text in fixed}

    def __contains__(self, text: str) -> bool:
        return ip_address(text) in self.subnet

    def check_fixed(self, pool: Pool) -> None:
        """Raises Forbidden, in Docker's words, unless gateway and auxiliary addresses are several hosts'.

        ``pool``: what this one was made of.
        """
        seen = {*self._edges()}
        fixed = {f"gateway ({pool.gateway})": pool.gateway} if pool.gateway else {}
        fixed |= {f"secondary ip address ({name}:{text})": text for name, text in pool.auxiliary.items()}
        for what, text in fixed.items():
            if (number := int(ip_address(text))) in seen:
                raise Forbidden(f"failed to allocate {what}: Address already in use")
            seen.add(number)

    def _edges(self) -> tuple[int, ...]:
        """The numbers that are no host's: the subnet's own, and its broadcast address."""
        if self.subnet.num_addresses <= 2:
            return ()
        own, last = int(self.subnet[0]), int(self.subnet[-1])
        return (own, last) if self.subnet.version == 4 else (own,)

    @property
    def in_use(self) -> int:
        """How many addresses nobody can have any more, the subnet's own and its broadcast address among them."""
        return len(self._taken) + len(self._edges())

    @property
    def available(self) -> int:
        """How many addresses of the range are free."""
        return self.last - self.first + 1 - sum(self.first <= number <= self.last for number in self._taken)

    def take(self, promised: Collection[int] = ()) -> IPAddress:
        """The lowest free address; one that is ``promised`` only when no other is free. Raises Unavailable.

        Promises are addresses as numbers, and may be of other subnets.
        """
        passed = []
        try:
            while (number := self._lowest()) is not None:
                if number not in promised:
                    return self._mark(number)
                passed.append(number)
            if passed:
                return self._mark(passed.pop(0))
        finally:
            for number in passed:
                heapq.heappush(self._freed, number)
        raise Unavailable(
            f"no available IPv{self.subnet.version} addresses on this network's address pools: {self._owner}"
        )

    def _lowest(self) -> int | None:
        """The next free number, which is not met again unless it is put back."""
        while self._freed:
            if (number := heapq.heappop(self._freed)) not in self._taken:
                return number
        while self._next <= self._last:
            self._next += 1
            if self._next - 1 not in self._taken:
                return self._next - 1
        return None

    def claim(self, text: str) -> IPAddress:
        """One address of the caller's choice. Raises InvalidArgument (not of the subnet), Conflict (taken)."""
        address = self._within(text, "requested")
        if int(address) in self._taken:
            raise Conflict("Address already in use")
        return self._mark(int(address))

    def restore(self, text: str) -> None:
        """Mark an address that the database says is in use."""
        self._taken.add(int(ip_address(text)))

    def release(self, text: str) -> None:
        number = int(ip_address(text))
        if number in self._taken:
            self._taken.remove(number)
            if number < self._next:  # a higher one is met again when the pool gets there
                heapq.heappush(self._freed, number)

    def _mark(self, number: int) -> IPAddress:
        self._taken.add(number)
        return IPv4Address(number) if self.subnet.version == 4 else IPv6Address(number)

    def _within(self, text: str, what: str) -> IPAddress:
        try:
            address = ip_address(text)
        except ValueError as error:
            raise InvalidArgument(f"invalid {what} address: {text!r}") from error
        if address not in self.subnet:
            raise InvalidArgument(f"invalid {what} address {text}: it does not belong to subnet {self.subnet}")
        return address


def _bounds(subnet: IPNetwork, inner: IPNetwork) -> tuple[int, int]:
    """First and last number of ``inner`` that a container may have: not the subnet's own, nor its broadcast address."""
    first, last = int(inner[0]), int(inner[-1])
    if subnet.num_addresses > 2:
        first = max(first, int(subnet[0]) + 1)
        last = min(last, int(subnet[-1]) - 1) if subnet.version == 4 else last
    return first, last


def parse_subnet(text: str) -> IPNetwork:
    """A subnet in CIDR notation; host bits are dropped. Raises InvalidArgument."""
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidArgument(f"invalid subnet {text!r}: {error}") from error


def choose_subnet(pools: Iterable[tuple[str, int]], used: Iterable[IPNetwork], version: int = 4) -> IPNetwork:
    """The first subnet of ``pools`` (range, prefix length) that overlaps none of ``used``. Raises Unavailable."""
    taken = sorted((net for net in used if net.version == version), key=lambda net: net.prefixlen)
    for text, length in pools:
        base = ip_network(text, strict=False)
        if base.version != version or any(_contains(net, base) for net in taken):
            continue
        for candidate in base.subnets(new_prefix=length):
            if not any(overlap(candidate, net) for net in taken):
                return candidate
    if version == 6:
        raise Unavailable(
            "could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network"
        )
    raise Unavailable("all predefined address pools have been fully subnetted")


def unique_local_base(identity: str) -> str:
    """The /48 that IPv6 subnets of this machine are cut from: RFC 4193, its 40 bits from a hash of ``identity``."""
    return str(IPv6Network((b"\xfd" + sha256(identity.encode()).digest()[:5] + bytes(10), 48)))


def overlap(one: IPNetwork, other: IPNetwork) -> bool:
    """Whether two subnets have an address in common."""
    return one.version == other.version and int(one[0]) <= int(other[-1]) and int(other[0]) <= int(one[-1])


def mac_for(address4: str) -> str:
    """A locally administered MAC: 02:42 and the four bytes of the address, as Docker does; random without one."""
    tail = IPv4Address(address4).packed if address4 else secrets.token_bytes(4)
    return (b"\x02\x42" + tail).hex(":")


def _contains(outer: IPNetwork, inner: IPNetwork) -> bool:
    same = outer.version == inner.version
    return same and int(outer[0]) <= int(inner[0]) and int(inner[-1]) <= int(outer[-1])
