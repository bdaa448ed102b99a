"""Real packets through the default bridge, its firewall and published ports. Root; in namespaces of the test's own."""

import asyncio
import socket
import struct
from ipaddress import ip_interface

import pytest

from cove.errors import Conflict, Forbidden, InvalidArgument, NotFound, Unavailable
from cove.kernel import nftables, sysctl
from cove.kernel.rtnetlink import RouteSocket
from cove.network import EndpointRequest, Pool, PortRequest

pytestmark = pytest.mark.root

HOST = "10.99.0.1"
OUTSIDE = "10.99.0.2"


def test_a_container_reaches_its_neighbour_the_host_and_the_outside_as_the_host(world, run):
    async def scenario():
        async with world.daemon() as networks:
            one, first = await world.run(networks, "one")
            two, second = await world.run(networks, "two")
            assert [first.endpoints[0].address4, second.endpoints[0].address4] == ["172.17.0.2", "172.17.0.3"]
            world.serve(two, 80)
            world.serve(world.host, 81)
            world.serve(world.outside, 82)
            assert await world.ask(one, "172.17.0.3", 80) == "172.17.0.2"
            assert await world.ask(world.host, "172.17.0.3", 80) == "172.17.0.1"
            assert await world.ask(one, "172.17.0.1", 81) == "172.17.0.2"
            assert await world.ask(one, OUTSIDE, 82) == HOST

    run(scenario())


def test_a_port_published_on_all_addresses_is_reached_from_everywhere(world, run):
    async def scenario():
        async with world.daemon() as networks:
            web, allocation = await world.run(networks, "web", PortRequest("tcp", 80, host_port="8080"))
            other, _ = await world.run(networks, "other")
            assert [(port.address, port.port) for port in allocation.ports] == [("0.0.0.0", 8080), ("::", 8080)]
            world.serve(web, 80)
            assert await world.ask(world.outside, HOST, 8080) == OUTSIDE
            assert await world.ask(world.host, HOST, 8080) == HOST
            assert await world.ask(world.host, "127.0.0.1", 8080) == "172.17.0.1"
            assert await world.ask(world.host, "127.0.0.9", 8080) == "172.17.0.1"
            assert await world.ask(world.host, "172.17.0.1", 8080) == "172.17.0.1"
            assert await world.ask(other, HOST, 8080) == "172.17.0.1"
            assert await world.ask(web, HOST, 8080) == "172.17.0.1"
            assert await world.ask(other, "172.17.0.1", 8080) == "172.17.0.1"

    run(scenario())


def test_the_relay_carries_ipv6_to_a_container_that_has_none(world, run):
    async def scenario():
        async with world.daemon() as networks:
            web, _ = await world.run(networks, "web", PortRequest("tcp", 80, host_port="8080"))
            world.serve(web, 80)
            assert await world.ask(world.host, "::1", 8080) == "172.17.0.1"
            assert await world.ask(world.outside, "fd99::1", 8080) == "172.17.0.1"
            await networks.release("web")
            with pytest.raises(ConnectionRefusedError):
                await world.ask(world.host, "::1", 8080)

    run(scenario())


def test_udp_is_published_and_a_flow_follows_the_port_to_a_new_container(world, run):
    async def scenario():
        async with world.daemon() as networks:
            request = PortRequest("udp", 53, host_port="5353")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(2)
                client.connect(("127.0.0.1", 5353))
                client.send(b"nobody there yet")
                with pytest.raises(ConnectionRefusedError):
                    client.recv(100)
                for name in ("one", "two"):
                    namespace, _ = await world.run(networks, name, request)
                    world.serve(namespace, 53, "udp")
                    client.send(b"who am I?")
                    assert client.recv(100) == b"172.17.0.1"
                    assert await world.ask(world.outside, HOST, 5353, "udp") == OUTSIDE
                    await networks.release(name)
            with pytest.raises(OSError):
                await world.ask(world.outside, HOST, 5353, "udp", timeout=0.3)

    run(scenario())


def test_a_released_port_is_not_reached_and_can_be_published_again(world, run):
    async def scenario():
        async with world.daemon() as networks:
            request = PortRequest("tcp", 80, host_port="8080")
            web, _ = await world.run(networks, "web", request)
            world.serve(web, 80)
            assert await world.ask(world.outside, HOST, 8080) == OUTSIDE
            await networks.release("web")
            await networks.release("web")
            with pytest.raises(ConnectionRefusedError):
                await world.ask(world.outside, HOST, 8080)
            with pytest.raises(OSError):
                await world.ask(world.host, "127.0.0.1", 8080)
            again, _ = await world.run(networks, "again", request)
            world.serve(again, 80)
            assert await world.ask(world.outside, HOST, 8080) == OUTSIDE
            assert await world.ask(world.host, "127.0.0.1", 8080) == "172.17.0.1"

    run(scenario())


def test_a_port_published_on_loopback_is_for_the_host_alone(world, run):
    async def scenario():
        async with world.daemon() as networks:
            web, allocation = await world.run(networks, "web", PortRequest("tcp", 80, "127.0.0.1", "8080"))
            other, _ = await world.run(networks, "other")
            world.serve(web, 80)
            assert len(allocation.ports) == 1
            assert await world.ask(world.host, "127.0.0.1", 8080) == "172.17.0.1"
            with pytest.raises(ConnectionRefusedError):
                await world.ask(world.outside, HOST, 8080)
            with pytest.raises(ConnectionRefusedError):
                await world.ask(other, HOST, 8080)

    run(scenario())


def test_the_outside_cannot_route_to_a_container(world, run):
    async def scenario():
        async with world.daemon() as networks:
            web, _ = await world.run(networks, "web", PortRequest("tcp", 80, "127.0.0.1", "8080"))
            world.serve(web, 80)
            with pytest.raises(TimeoutError):  # its default route leads to the host, which forwards
                await world.ask(world.outside, "172.17.0.2", 80, timeout=0.3)
            assert await world.ask(world.host, "172.17.0.2", 80) == "172.17.0.1"

    run(scenario())


def test_a_container_cannot_send_to_the_hosts_loopback(world, run):
    async def scenario():
        async with world.daemon() as networks:
            hostile, _ = await world.run(networks, "hostile")
            assert sysctl.read("net/ipv4/conf/cove0/route_localnet") == "1"
            assert sysctl.read("net/ipv4/conf/uplink/route_localnet") == "0"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
                service.settimeout(0.3)
                service.bind(("0.0.0.0", 9000))
                _send_frame(world, hostile, "172.17.0.2", "172.17.0.1")
                assert service.recv(100) == b"hello"
                _send_frame(world, hostile, "172.17.0.2", "127.0.0.1")
                with pytest.raises(TimeoutError):
                    service.recv(100)
                _send_frame(world, hostile, "127.0.0.1", "172.17.0.1")
                with pytest.raises(TimeoutError):
                    service.recv(100)

    run(scenario())


def _send_frame(world, namespace, source, destination):
    """A UDP packet to port 9000 on the bridge, with addresses that the container's own kernel would not send."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind(("cove0", 0))
        bridge = link.getsockname()[4]
    payload = struct.pack("!HHHH", 9000, 9000, 8 + 5, 0) + b"hello"
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, 17, 0, *map(socket.inet_aton, (source, destination))
    )
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + header[12:]
    with world.inside(namespace, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as link:
        link.bind(("eth0", 0x0800))
        link.send(bridge + bytes.fromhex("0242ac110002") + b"\x08\x00" + header + payload)


def test_after_kill_minus_nine_a_new_daemon_has_all_that_was_there(world, run):
    request = PortRequest("tcp", 80, host_port="8080")

    async def first():
        async with world.daemon() as networks:
            namespace, allocation = await world.run(networks, "web", request)
            await world.run(networks, "gone", PortRequest("udp", 53, host_port="5353"))
            world.serve(namespace, 80)
            return namespace, allocation

    async def second(namespace, allocation):
        assert await world.ask(world.outside, HOST, 8080) == OUTSIDE  # while no daemon is there
        async with world.daemon() as networks:
            assert networks.allocation("web") == allocation
            assert await networks.reconcile({"web": namespace}) == {}
            assert networks.allocation("gone").endpoints == ()
            assert len(_veths()) == 2, "the uplink's and the container's"
            assert await world.ask(world.outside, HOST, 8080) == OUTSIDE
            with pytest.raises(Conflict, match=r"Bind for 0\.0\.0\.0:8080 failed: port is already allocated"):
                await world.run(networks, "late", request)
            _, given = await world.run(networks, "other", PortRequest("udp", 53, host_port="5353"))
            assert given.endpoints[0].address4 == "172.17.0.3"

    run(second(*run(first())))


def _veths():
    with RouteSocket() as route:
        return [link.name for link in route.links().values() if link.kind == "veth"]


def test_a_bridge_that_vanished_is_made_again_and_a_lost_link_is_given_back(world, run):
    request = PortRequest("tcp", 80, host_port="8080")

    async def first():
        async with world.daemon() as networks:
            kept, _ = await world.run(networks, "kept", request)
            lost, allocation = await world.run(networks, "lost")
            world.serve(kept, 80)
            with RouteSocket() as route:
                route.delete_link(allocation.endpoints[0].host_link)
                route.delete_link("cove0")
            nftables.Nftables().run("delete table inet cove")
            return kept, lost

    async def second(kept, lost):
        async with world.daemon() as networks:
            restored = await networks.reconcile({"kept": kept, "lost": lost})
            assert list(restored) == ["lost"]
            for interface in restored["lost"].interfaces:
                world.configure(lost, interface)
            assert await world.ask(world.outside, HOST, 8080) == OUTSIDE
            assert await world.ask(lost, "172.17.0.2", 80) == "172.17.0.3"

    run(second(*run(first())))


def test_a_flow_lives_on_while_the_table_is_replaced(world, run):
    async def scenario():
        async with world.daemon() as networks:
            web, _ = await world.run(networks, "web", PortRequest("tcp", 80, host_port="8080"))
            listener = world.inside(web, lambda: socket.create_server(("0.0.0.0", 80)))
            client = world.inside(world.outside, lambda: socket.create_connection((HOST, 8080), 2))
            with listener, client, listener.accept()[0] as connection:
                connection.settimeout(2)
                await networks._firewall.repair()
                client.sendall(b"before")
                assert connection.recv(100) == b"before"
                nftables.Nftables().run("delete table inet cove")
                await world.run(networks, "heals", PortRequest("tcp", 80, host_port="8081"))
                client.sendall(b"after")
                assert connection.recv(100) == b"after"

    run(scenario())


def test_an_address_that_is_used_again_is_reached_though_its_former_link_is_still_there(world, run):
    async def scenario():
        async with world.daemon() as networks:
            for name in ("one", "two", "three"):
                namespace, allocation = await world.run(networks, name)
                assert allocation.endpoints[0].address4 == "172.17.0.2"
                world.serve(namespace, 80)
                assert await world.ask(world.host, "172.17.0.2", 80) == "172.17.0.1"
                await networks.release(name)  # the test keeps its namespace, and so its link

    run(scenario())


def test_networks_of_users_are_apart_and_have_both_families(world, run):
    async def scenario():
        async with world.daemon() as networks:
            made = await world.network(
                networks, "mine", pools=(Pool("10.20.0.0/24", ""), Pool("fd20::/64", "")), ipv6=True
            )
            one, first = await world.run(networks, "one", PortRequest("tcp", 80, host_port="8080"), network="mine")
            two, _ = await world.run(networks, "two", network="mine")
            alien, _ = await world.run(networks, "alien")
            world.serve(one, 80)
            world.serve(one, 80, address="::")
            world.serve(world.outside, 82, address="::")
            endpoint = first.endpoints[0]
            assert (endpoint.address4, endpoint.address6) == ("10.20.0.2", "fd20::2")
            assert await world.ask(two, "10.20.0.2", 80) == "10.20.0.3"
            assert await world.ask(two, "fd20::2", 80) == "fd20::3"
            assert await world.ask(two, "fd99::2", 82) == "fd99::1"
            assert await world.ask(world.outside, "fd99::1", 8080) == "fd99::2"
            assert await world.ask(world.host, "::1", 8080) == "fd20::1"
            assert await world.ask(world.host, "fd99::1", 8080) == "fd99::1"
            assert await world.ask(alien, HOST, 8080) == "10.20.0.1"
            with pytest.raises(TimeoutError):
                await world.ask(alien, "10.20.0.2", 80, timeout=0.3)
            with pytest.raises(Forbidden, match="has active endpoints"):
                await networks.remove("mine")
            await networks.release("one")
            await networks.release("two")
            await networks.remove("mine")
            with RouteSocket() as route:
                assert made.link not in route.links()

    run(scenario())


def test_an_internal_network_reaches_nothing_outside(world, run):
    async def scenario():
        async with world.daemon() as networks:
            await world.network(networks, "inner", internal=True)
            one, _ = await world.run(networks, "one", network="inner")
            two, _ = await world.run(networks, "two", network="inner")
            world.serve(two, 80)
            world.serve(world.outside, 82)
            assert await world.ask(one, "172.18.0.3", 80) == "172.18.0.2"
            with pytest.raises(OSError):
                await world.ask(one, OUTSIDE, 82, timeout=0.3)

    run(scenario())


def test_connect_and_disconnect_while_running(world, run):
    async def scenario():
        async with world.daemon() as networks:
            await world.network(networks, "mine")
            one, _ = await world.run(networks, "one")
            two, _ = await world.run(networks, "two", network="mine", address4="172.18.0.9")
            world.serve(two, 80)
            endpoint = await networks.join("one", "one", EndpointRequest(network="mine"))
            assert (endpoint.interface, endpoint.pending) == ("eth1", True)
            world.configure(one, await networks.attach(endpoint, one, routes=False))
            await networks.joined(endpoint, "one")
            assert networks.gateways("one").ipv4.network == "bridge"
            assert await world.ask(one, "172.18.0.9", 80) == "172.18.0.2"
            with pytest.raises(Forbidden, match="endpoint with name one already exists in network mine"):
                await networks.join("one", "one", EndpointRequest(network="mine"))
            left = await networks.leave("one", "mine")
            await networks.detach(left)
            await networks.left(left, "one")
            with pytest.raises(OSError):
                await world.ask(one, "172.18.0.9", 80, timeout=0.3)
            assert [held.interface for held in networks.allocation("one").endpoints] == ["eth0"]

    run(scenario())


def test_the_very_first_packet_of_a_container_arrives(world, run):
    """The bridge must not wait for the kernel to notice that the link has a carrier: a lost packet costs a second."""

    async def scenario():
        async with world.daemon() as networks:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
                service.settimeout(0.9)
                service.bind(("172.17.0.1", 9000))
                for number in range(10):
                    name = f"container{number}"
                    namespace, _ = await world.run(networks, name)
                    with world.inside(namespace, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
                        client.sendto(name.encode(), ("172.17.0.1", 9000))
                        assert service.recv(100) == name.encode(), name

    run(scenario())


def test_without_icc_neighbours_do_not_reach_each_other(world, run):
    async def scenario():
        async with world.daemon() as networks:
            await world.network(networks, "apart", options={"com.docker.network.bridge.enable_icc": "false"})
            one, _ = await world.run(networks, "one", network="apart")
            two, _ = await world.run(networks, "two", network="apart")
            world.serve(two, 80)
            world.serve(world.outside, 82)
            assert await world.ask(world.host, "172.18.0.3", 80) == "172.18.0.1"
            assert await world.ask(one, OUTSIDE, 82) == HOST
            with pytest.raises(OSError):
                await world.ask(one, "172.18.0.3", 80, timeout=0.3)

    run(scenario())


def test_a_bridge_that_vanishes_under_a_running_daemon_is_made_for_the_next_container(world, run):
    async def scenario():
        async with world.daemon() as networks:
            with RouteSocket() as route:
                route.delete_link("cove0")
            one, _ = await world.run(networks, "one")
            world.serve(one, 80)
            assert await world.ask(world.host, "172.17.0.2", 80) == "172.17.0.1"

    run(scenario())


def test_attaching_twice_and_allocating_twice_is_attaching_and_allocating_once(world, run):
    async def scenario():
        async with world.daemon() as networks:
            request = PortRequest("tcp", 80, host_port="8080")
            namespace, first = await world.run(networks, "one", request)
            await networks.attach(first.endpoints[0], namespace)
            assert len(_veths()) == 2
            again, second = await world.run(networks, "one", request)
            assert second.endpoints[0].address4 == first.endpoints[0].address4
            assert second.ports == first.ports
            world.serve(again, 80)
            assert await world.ask(world.outside, HOST, 8080) == OUTSIDE

    run(scenario())


def test_what_cannot_be_had_leaves_nothing_taken(world, run):
    async def scenario():
        async with world.daemon() as networks:
            await world.network(networks, "small", pools=(Pool("10.30.0.0/30", ""),))
            _, given = await world.run(networks, "one", PortRequest("tcp", 80, host_port="8080"), network="small")
            with pytest.raises(Unavailable, match="no available IPv4 addresses"):
                await world.run(networks, "two", network="small")
            with pytest.raises(Conflict, match="port is already allocated"):
                await world.run(
                    networks, "two", PortRequest("tcp", 1, host_port="8081"), PortRequest("tcp", 80, host_port="8080")
                )
            with pytest.raises(InvalidArgument, match="user specified IP address"):
                await world.run(networks, "two", address4="172.17.0.9")
            with pytest.raises(NotFound):
                await world.run(networks, "two", network="nowhere")
            assert networks.allocation("two").endpoints == ()
            _, given = await world.run(networks, "three", PortRequest("tcp", 1, host_port="8081"))
            assert given.endpoints[0].address4 == "172.17.0.2"

    run(scenario())


def test_host_and_none_have_endpoints_without_links(world, run):
    async def scenario():
        async with world.daemon() as networks:
            for name in ("host", "none"):
                allocation = await networks.allocate(
                    name, name, [EndpointRequest(network=name)], [PortRequest("tcp", 80, host_port="80")]
                )
                assert allocation.ports == ()
                assert await networks.attach(allocation.endpoints[0], world.host) is None
                assert networks.endpoints_on(networks.get(name).id) == list(allocation.endpoints)
                with pytest.raises(Forbidden, match=f"{name} is a pre-defined network and cannot be removed"):
                    await networks.remove(name)
        async with world.daemon() as networks:
            assert [network.name for network in networks.all()] == ["bridge", "host", "none"]
            await networks.reconcile({})
            assert networks.allocation("host").endpoints == ()

    run(scenario())


def test_the_bridge_keeps_clear_of_the_hosts_routes_and_follows_the_settings(world, run):
    async def scenario():
        with RouteSocket() as route:
            route.add_address(route.links()["uplink"].index, ip_interface("172.17.9.1/24"))
        async with world.daemon() as networks:
            assert networks.get("bridge").pools[0].subnet == "172.18.0.0/16"
            identity = networks.get("bridge").id
        async with world.daemon(bridge="other0", bip="10.40.0.1/24", mtu=1400) as networks:
            one, given = await world.run(networks, "one")
            assert (networks.get("bridge").id, given.endpoints[0].address4) == (identity, "10.40.0.2")
            with RouteSocket() as route:
                links = route.links()
            assert "cove0" not in links and links["other0"].mtu == links[given.endpoints[0].host_link].mtu == 1400
            world.serve(world.outside, 82)
            assert await world.ask(one, OUTSIDE, 82) == HOST

    run(scenario())


def test_a_starting_container_that_is_cancelled_gives_everything_back(world, run):
    async def scenario():
        async with world.daemon() as networks:
            request = PortRequest("tcp", 80, host_port="8080")
            for rounds in range(1, 12):
                task = asyncio.ensure_future(
                    networks.allocate("one", "one", [EndpointRequest(network="bridge")], [request])
                )
                for _ in range(rounds):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await networks.release("one")
            _, given = await world.run(networks, "two", request)
            assert given.endpoints[0].address4 == "172.17.0.2"

    run(scenario())
