"""What the options of a bridge network let through, in both address families: real packets, or proof of none."""

import asyncio

import pytest

from cove.errors import Conflict, Forbidden, InvalidArgument
from cove.kernel import sysctl
from cove.kernel.rtnetlink import RouteSocket
from cove.network import Pool, PortRequest

pytestmark = pytest.mark.root

HOST, HOST6 = "10.99.0.1", "fd99::1"
OUTSIDE, OUTSIDE6 = "10.99.0.2", "fd99::2"
POOLS = (Pool("10.20.0.0/24", ""), Pool("fd20::/64", ""))
ADDRESS, ADDRESS6 = "10.20.0.2", "fd20::2"
PREFIX = "com.docker.network.bridge."


def modes(mode):
    return {f"{PREFIX}gateway_mode_ipv4": mode, f"{PREFIX}gateway_mode_ipv6": mode}


async def network(world, networks, name="mine", pools=POOLS, **more):
    return await world.network(networks, name, pools=pools, ipv6=len(pools) == 2, **more)


def serve_everywhere(world, namespace, *ports):
    for port in ports:
        world.serve(namespace, port)
        world.serve(namespace, port, address="::")


async def all_reached(world, namespace, port, *addresses):
    """Whether all of the addresses answer at a port, be it after a neighbour was asked for a second time."""
    return await reached(world, namespace, port, *addresses, seconds=3) == list(addresses)


async def reached(world, namespace, port, *addresses, seconds=1):
    """Which of the addresses answer at a port."""

    async def answers(address):
        try:
            return bool(await world.ask(namespace, address, port, timeout=seconds))
        except OSError:
            return False

    answered = await asyncio.gather(*map(answers, addresses))
    return [address for address, yes in zip(addresses, answered, strict=True) if yes]


def addresses_of(link):
    with RouteSocket() as route:
        return {str(address) for address in route.addresses(route.links()[link].index) if not address.is_link_local}


def test_routed_networks_are_reached_at_their_published_ports_only_and_keep_their_addresses(world, run):
    async def scenario():
        async with world.daemon() as networks:
            await network(world, networks, options=modes("routed"))
            one, held = await world.run(networks, "one", PortRequest("tcp", 80, host_port="8080"), network="mine")
            serve_everywhere(world, one, 80, 81)
            serve_everywhere(world, world.outside, 82)
            assert {(port.address, port.port, port.routed) for port in held.ports} == {
                (ADDRESS, 80, True),
                (ADDRESS6, 80, True),
            }
            assert await all_reached(world, world.outside, 80, ADDRESS, ADDRESS6)
            assert await reached(world, world.outside, 81, ADDRESS, ADDRESS6) == []
            assert await reached(world, world.outside, 8080, HOST, HOST6) == []
            assert await world.ask(one, OUTSIDE, 82) == ADDRESS
            assert await world.ask(one, OUTSIDE6, 82) == ADDRESS6
            await networks.release("one")
            assert await reached(world, world.outside, 80, ADDRESS, ADDRESS6) == []
        async with world.daemon() as networks:
            assert networks.get("mine").gateway_mode(4) == "routed"

    run(scenario())


def test_unprotected_networks_are_reached_at_every_port_but_not_from_other_networks(world, run):
    async def scenario():
        async with world.daemon() as networks:
            await network(world, networks, options=modes("nat-unprotected"))
            one, _ = await world.run(networks, "one", network="mine")
            other, _ = await world.run(networks, "other")
            serve_everywhere(world, one, 81)
            world.serve(world.outside, 82)
            assert await all_reached(world, world.outside, 81, ADDRESS, ADDRESS6)
            assert await reached(world, other, 81, ADDRESS) == []
            assert await world.ask(one, OUTSIDE, 82) == HOST

    run(scenario())


def test_natted_networks_are_reached_by_trusted_interfaces_only(world, run):
    async def scenario():
        async with world.daemon() as networks:
            trusted = (Pool("10.21.0.0/24", ""),)
            await network(world, networks)
            await network(
                world, networks, "open", trusted, options={f"{PREFIX}trusted_host_interfaces": "nosuch:uplink"}
            )
            one, _ = await world.run(networks, "one", network="mine")
            two, _ = await world.run(networks, "two", network="open")
            other, _ = await world.run(networks, "other")
            serve_everywhere(world, one, 81)
            world.serve(two, 81)
            assert await reached(world, world.outside, 81, ADDRESS, ADDRESS6, "10.21.0.2") == ["10.21.0.2"]
            assert await reached(world, other, 81, "10.21.0.2") == []

    run(scenario())


def test_without_masquerade_what_leaves_keeps_its_address(world, run):
    async def scenario():
        async with world.daemon() as networks:
            await network(world, networks, options={f"{PREFIX}enable_ip_masquerade": "false"})
            one, _ = await world.run(networks, "one", network="mine")
            serve_everywhere(world, world.outside, 82)
            serve_everywhere(world, one, 81)
            assert await world.ask(one, OUTSIDE, 82) == ADDRESS
            assert await world.ask(one, OUTSIDE6, 82) == ADDRESS6
            assert await reached(world, world.outside, 81, ADDRESS, ADDRESS6) == []

    run(scenario())


def test_an_isolated_network_has_no_address_of_the_host(world, run):
    async def scenario():
        async with world.daemon() as networks:
            with pytest.raises(InvalidArgument, match="'isolated' can only be used for an internal network"):
                await network(world, networks, options=modes("isolated"))
            made = await network(world, networks, options=modes("isolated"), internal=True)
            one, _ = await world.run(networks, "one", network="mine")
            two, _ = await world.run(networks, "two", network="mine")
            serve_everywhere(world, two, 81)
            serve_everywhere(world, world.host, 83)
            assert addresses_of(made.link) == set()
            assert await all_reached(world, one, 81, "10.20.0.3", "fd20::3")
            assert await reached(world, one, 83, HOST, HOST6, "10.20.0.1") == []

    run(scenario())


def test_an_internal_network_reaches_its_own_and_nothing_else_in_both_families(world, run):
    async def scenario():
        async with world.daemon() as networks:
            await network(world, networks, internal=True)
            one, _ = await world.run(networks, "one", network="mine")
            two, _ = await world.run(networks, "two", network="mine")
            other, _ = await world.run(networks, "other")
            serve_everywhere(world, two, 81)
            serve_everywhere(world, world.outside, 82)
            world.serve(other, 81)
            assert await all_reached(world, one, 81, "10.20.0.3", "fd20::3")
            assert await reached(world, one, 82, OUTSIDE, OUTSIDE6) == []
            assert await reached(world, one, 81, "172.17.0.2") == []
            assert await reached(world, other, 81, "10.20.0.3") == []
            assert await reached(world, world.outside, 81, "10.20.0.3", "fd20::3") == []

    run(scenario())


def test_without_icc_neighbours_are_apart_in_ipv6_too(world, run):
    async def scenario():
        async with world.daemon() as networks:
            await network(world, networks, options={f"{PREFIX}enable_icc": "0"})
            one, _ = await world.run(networks, "one", network="mine")
            two, _ = await world.run(networks, "two", network="mine")
            serve_everywhere(world, two, 81)
            assert await reached(world, one, 81, "10.20.0.3", "fd20::3") == []
            assert await world.ask(world.host, "fd20::3", 81) == "fd20::1"

    run(scenario())


def test_inhibit_ipv4_leaves_the_gateways_address_to_somebody_else(world, run):
    async def scenario():
        async with world.daemon() as networks:
            made = await network(world, networks, options={f"{PREFIX}inhibit_ipv4": "true"})
            _, held = await world.run(networks, "one", network="mine")
            assert addresses_of(made.link) == {"fd20::1/64"}
            assert held.endpoints[0].gateway4 == "10.20.0.1"

    run(scenario())


def test_a_network_of_ipv6_alone(world, run):
    async def scenario():
        async with world.daemon() as networks:
            await world.network(networks, "six", ipv4=False, ipv6=True)
            one, held = await world.run(networks, "one", PortRequest("tcp", 80, host_port="8080"), network="six")
            endpoint = held.endpoints[0]
            serve_everywhere(world, world.outside, 82)
            world.serve(one, 80, address="::")
            assert (endpoint.address4, endpoint.gateway6) == ("", networks.get("six").pools[0].gateway)
            assert await world.ask(one, OUTSIDE6, 82) == HOST6
            assert await reached(world, one, 82, OUTSIDE) == []
            assert await world.ask(world.outside, HOST6, 8080) == OUTSIDE6
            assert await world.ask(world.outside, HOST, 8080) == endpoint.gateway6

    run(scenario())


def test_ports_are_published_at_the_networks_own_address(world, run):
    async def scenario():
        async with world.daemon() as networks:
            await network(world, networks, options={f"{PREFIX}host_binding_ipv4": "127.0.0.1"})
            _, held = await world.run(networks, "one", PortRequest("tcp", 80, host_port="8080"), network="mine")
            assert [(port.address, port.port) for port in held.ports] == [("127.0.0.1", 8080)]

    run(scenario())


def test_a_bridge_that_was_there_is_adopted_and_left_as_it_was(world, run):
    async def scenario():
        with RouteSocket() as route:
            route.create_bridge("lan0", "02:42:00:00:00:33", 1500)
        async with world.daemon() as networks:
            await network(world, networks, options={f"{PREFIX}name": "lan0"})
            await world.run(networks, "one", network="mine")
            assert addresses_of("lan0") == {"10.20.0.1/24", "fd20::1/64"}
            with pytest.raises(Forbidden, match="networks have same bridge name"):
                await network(world, networks, "again", (Pool("10.22.0.0/24", ""),), options={f"{PREFIX}name": "lan0"})
            with pytest.raises(Conflict, match="is no bridge"):
                await network(world, networks, "wire", (Pool("10.22.0.0/24", ""),), options={f"{PREFIX}name": "wire"})
            assert [each.name for each in networks.all()] == ["bridge", "host", "none", "mine"]
            await networks.release("one")
            await networks.remove("mine")
            assert addresses_of("lan0") == set()
            with RouteSocket() as route:
                assert route.links()["lan0"].up

    run(scenario())


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("enable_icc", "x", "failed to parse com.docker.network.bridge.enable_icc value: x"),
        ("gateway_mode_ipv4", "x", "unknown gateway mode x"),
        ("host_binding_ipv4", "x", "nil ip"),
        ("name", "far-too-long-a-name", "1 to 15 characters"),
        ("name", "a/b", "1 to 15 characters"),
        ("inhibit_ipv4", "2", "invalid syntax"),
    ],
)
def test_bad_options_are_named_and_nothing_is_made(world, run, option, value, words):
    async def scenario():
        async with world.daemon() as networks:
            with pytest.raises(InvalidArgument, match=r"com\.docker\.network\.bridge") as refusal:
                await network(world, networks, options={PREFIX + option: value})
            assert words in refusal.value.message
            assert len(networks.all()) == 3

    run(scenario())


def test_mtu_and_subnets_are_checked(world, run):
    async def scenario():
        async with world.daemon() as networks:
            for mtu in ("-1", "67", "70000", "1200"):
                with pytest.raises(InvalidArgument, match="invalid MTU number"):
                    await network(world, networks, options={"com.docker.network.driver.mtu": mtu})
            with pytest.raises(InvalidArgument, match=r"failed to parse com\.docker\.network\.driver\.mtu value: x"):
                await network(world, networks, options={"com.docker.network.driver.mtu": "x"})
            with pytest.raises(Forbidden, match="bridge driver doesn't support multiple subnets"):
                await network(world, networks, pools=(Pool("10.1.0.0/24", ""), Pool("10.2.0.0/24", "")))
            with pytest.raises(Forbidden, match="Pool overlaps with other one on this address space"):
                await network(world, networks, pools=(Pool("10.99.0.0/25", ""),))  # the uplink's
            made = await network(world, networks, options={"com.docker.network.driver.mtu": "1400"})
            with RouteSocket() as route:
                assert route.links()[made.link].mtu == 1400
            assert sysctl.read(f"net/ipv6/conf/{made.link}/accept_ra") == "0"

    run(scenario())
