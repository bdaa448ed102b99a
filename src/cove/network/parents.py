"""The links of the host that macvlan and ipvlan networks are on top of: the user's own, a VLAN's, or a stand-in.

``parent=eth0`` is there or is refused. ``parent=eth0.10`` is made when it is not there, as the sub-interface of eth0
for VLAN 10, and goes with the last network that has it. Without a parent the network has a link that leads nowhere:
a dummy, or on a kernel without dummies a veth pair whose other end nobody has.
"""

import errno
import secrets
from collections.abc import Sequence

import msgspec

from cove.errors import InvalidArgument, Unimplemented
from cove.kernel.rtnetlink import RouteSocket
from cove.network.links import Links
from cove.network.records import PARENT_OPTION, NetworkRecord


class Parents:
    """``kind``: of the networks, as messages name it; also the kernel's name of their links."""

    def __init__(self, links: Links, kind: str) -> None:
        self._links = links
        self._kind = kind

    async def settle(self, network: NetworkRecord) -> NetworkRecord:
        """Whether the parent is there; a network without one is internal. Raises InvalidArgument, Unimplemented."""
        if network.parent == "lo":
            raise InvalidArgument(f"loopback interface is not a valid {self._kind} parent link")
        if not await self._links.run(lambda route: route.knows(self._kind)):
            raise Unimplemented(f"the kernel of this host has no {self._kind} links")
        if not network.options.get(PARENT_OPTION):
            return msgspec.structs.replace(network, internal=True)
        links = await self._links.run(RouteSocket.links)
        if network.parent in links:
            return msgspec.structs.replace(network, adopted=True)
        base, tag = _vlan(network.parent)
        if base not in links:
            raise InvalidArgument(f"-o parent interface was not found on the host: {base}")
        if not 1 <= tag <= 4094:
            raise InvalidArgument(f"vlan id must be between 1-4094, received: {tag}")
        if not await self._links.run(lambda route: route.knows("vlan")):
            raise Unimplemented(f"failed to create {network.parent} vlan link: the kernel of this host has none")
        return network

    async def start(self, network: NetworkRecord) -> int:
        """Make the parent unless it is there; its index. Raises OSError, InvalidArgument."""
        return await self._links.run(lambda route: _make(route, network))

    async def stop(self, network: NetworkRecord, others: Sequence[NetworkRecord]) -> None:
        """Remove a parent that was made for this network, or for another one that has gone, unless one still has it."""
        if network.adopted or any(other.parent == network.parent for other in others):
            return
        await self._links.run(lambda route: _remove(route, network.parent))


def _vlan(parent: str) -> tuple[str, int]:
    """``eth0.10`` → (eth0, 10)."""
    if "." not in parent:
        raise InvalidArgument(f"invalid subinterface vlan name {parent}, example formatting is eth0.10")
    base, _, tag = parent.partition(".")
    if "." in tag:
        raise InvalidArgument(
            f"required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received {parent}"
        )
    if not (tag.isascii() and tag.isdigit()):
        raise InvalidArgument(f"unable to parse a valid vlan id from: {tag} (ex. eth0.10 for vlan 10)")
    return base, int(tag)


def _make(route: RouteSocket, network: NetworkRecord) -> int:
    links = route.links()
    if (found := links.get(network.parent)) is not None:
        if not network.adopted and not found.up:
            route.set_link(found.index)
        return found.index
    if network.options.get(PARENT_OPTION):
        base, tag = _vlan(network.parent)
        if base not in links:
            raise OSError(errno.ENODEV, f"the parent {base} of network {network.name} is not on the host")
        route.create_vlan(network.parent, links[base].index, tag)
    else:
        _make_stand_in(route, network.parent)
    return route.links()[network.parent].index


def _make_stand_in(route: RouteSocket, name: str) -> None:
    try:
        route.create_dummy(name)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        route.create_pair(name, f"dp-{secrets.token_hex(6)}")


def _remove(route: RouteSocket, name: str) -> None:
    try:
        route.delete_link(name)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
