"""Networks on top of a link of the host: macvlan with neighbours; ipvlan and VLANs as far as the kernel has them."""

import contextlib

import pytest

from cove.errors import Conflict, InvalidArgument, Unimplemented
from cove.kernel.rtnetlink import RouteSocket
from cove.network import Pool

pytestmark = pytest.mark.root

LAN = (Pool("10.99.0.0/24", "10.99.0.2", "10.99.0.128/25"), Pool("fd99::/64", "fd99::2", "fd99::8000/113"))
OUTSIDE, OUTSIDE6 = "10.99.0.2", "fd99::2"


@pytest.fixture
def lan(world):
    """A host whose ``lan0`` leads to the outside machine, which has the addresses of a router there."""
    with RouteSocket() as route:
        route.delete_link("uplink")
        index = route.links()["wire"].index
        route.set_link(index, master=0)
    return world


async def macvlan(world, networks, name="lan", *, pools=LAN, parent="wire", **options):
    given = {"parent": parent, **options} if parent else options
    return await world.network(networks, name, "macvlan", pools=pools, ipv6=len(pools) > 1, options=given)


async def answered(world, namespace, address, port):
    with contextlib.suppress(OSError):
        return await world.ask(namespace, address, port, timeout=1)
    return None


def links():
    with RouteSocket() as route:
        return route.links()


def test_containers_are_neighbours_of_the_machines_on_the_parents_network(lan, run):
    async def scenario():
        async with lan.daemon() as networks:
            made = await macvlan(lan, networks)
            one, held = await lan.run(networks, "one", network="lan")
            two, _ = await lan.run(networks, "two", network="lan")
            lan.serve(two, 80)
            lan.serve(two, 80, address="::")
            lan.serve(lan.outside, 82)
            lan.serve(lan.outside, 82, address="::")
            endpoint = held.endpoints[0]
            assert (endpoint.address4, endpoint.address6, endpoint.host_link) == ("10.99.0.128", "fd99::8000", "")
            assert made.adopted
            assert await lan.ask(one, "10.99.0.129", 80) == "10.99.0.128"
            assert await lan.ask(one, "fd99::8001", 80) == "fd99::8000"
            assert await lan.ask(one, OUTSIDE, 82) == "10.99.0.128"
            assert await lan.ask(one, OUTSIDE6, 82) == "fd99::8000"
            assert await lan.ask(lan.outside, "10.99.0.129", 80) == OUTSIDE
            await networks.release("one")
            await networks.release("two")
            await networks.remove("lan")
            assert "wire" in links()

    run(scenario())


@pytest.mark.parametrize("mode", ["private", "vepa"])
def test_in_other_modes_containers_do_not_reach_each_other(lan, run, mode):
    async def scenario():
        async with lan.daemon() as networks:
            await macvlan(lan, networks, macvlan_mode=mode)
            one, _ = await lan.run(networks, "one", network="lan")
            two, _ = await lan.run(networks, "two", network="lan")
            lan.serve(two, 80)
            lan.serve(lan.outside, 82)
            assert await lan.ask(one, OUTSIDE, 82) == "10.99.0.128"
            assert await answered(lan, one, "10.99.0.129", 80) is None

    run(scenario())


def test_passthru_has_the_parent_to_itself(lan, run):
    async def scenario():
        async with lan.daemon() as networks:
            await macvlan(lan, networks, macvlan_mode="passthru")
            one, _ = await lan.run(networks, "one", network="lan")
            lan.serve(lan.outside, 82)
            assert await lan.ask(one, OUTSIDE, 82) == "10.99.0.128"
            with pytest.raises(Conflict, match="already using parent interface wire in mode passthru"):
                await macvlan(lan, networks, "more", pools=(Pool("10.98.0.0/24", ""),))
        async with lan.daemon() as networks:
            with pytest.raises(Conflict, match="cannot use mode passthru"):
                await macvlan(lan, networks, "more", pools=(Pool("10.98.0.0/24", ""),), macvlan_mode="passthru")

    run(scenario())


def test_without_a_parent_containers_reach_each_other_and_nothing_else(lan, run):
    async def scenario():
        before = set(links())
        async with lan.daemon() as networks:
            made = await macvlan(lan, networks, pools=(Pool("10.97.0.0/24", ""), Pool("fd97::/64", "")), parent="")
            one, held = await lan.run(networks, "one", network="lan")
            two, _ = await lan.run(networks, "two", network="lan")
            lan.serve(two, 80)
            lan.serve(two, 80, address="::")
            assert made.internal and held.endpoints[0].address4 == "10.97.0.1"
            assert await lan.ask(one, "10.97.0.2", 80) == "10.97.0.1"
            assert await lan.ask(one, "fd97::2", 80) == "fd97::1"
            assert made.parent == f"dm-{made.id[:12]}" and made.parent in links()
            await networks.release("one")
            await networks.release("two")
            await networks.remove("lan")
        assert set(links()) <= before | {"cove0"}

    run(scenario())


def test_several_subnets_on_one_network(lan, run):
    async def scenario():
        async with lan.daemon() as networks:
            pools = (Pool("10.96.0.0/30", ""), Pool("10.97.0.0/24", "10.97.0.1"))
            await macvlan(lan, networks, pools=pools, parent="")
            given = [
                (await lan.run(networks, str(number), network="lan"))[1].endpoints[0].address4 for number in range(4)
            ]
            assert given == ["10.96.0.1", "10.96.0.2", "10.97.0.2", "10.97.0.3"]
            _, chosen = await lan.run(networks, "chosen", network="lan", address4="10.97.0.77")
            assert (chosen.endpoints[0].prefix4, chosen.endpoints[0].gateway4) == (24, "10.97.0.1")
            with pytest.raises(InvalidArgument, match="does not belong to any of this network's subnets"):
                await lan.run(networks, "far", network="lan", address4="10.95.0.1")

    run(scenario())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"parent": "nope"}, "invalid subinterface vlan name nope, example formatting is eth0.10"),
        ({"parent": "nope.10"}, "-o parent interface was not found on the host: nope"),
        ({"parent": "wire.x"}, "unable to parse a valid vlan id from: x"),
        ({"parent": "wire.4095"}, "vlan id must be between 1-4094, received: 4095"),
        ({"parent": "wire.1.2"}, "required interface name format is: name.vlan_id"),
        ({"parent": "lo"}, "loopback interface is not a valid macvlan parent link"),
        ({"macvlan_mode": "x"}, "requested macvlan mode 'x' is not valid"),
    ],
)
def test_bad_options_are_refused_in_dockers_words_and_nothing_is_made(lan, run, options, words):
    async def scenario():
        async with lan.daemon() as networks:
            with pytest.raises(InvalidArgument) as refusal:
                await lan.network(networks, "bad", "macvlan", options=options)
            assert words in refusal.value.message
            assert len(networks.all()) == 3

    run(scenario())


def test_kinds_that_the_kernel_does_not_have_are_refused_clearly(lan, run):
    async def scenario():
        with RouteSocket() as route:
            known = {kind: route.knows(kind) for kind in ("ipvlan", "vlan", "macvlan", "nosuchkind")}
        assert (known["macvlan"], known["nosuchkind"]) == (True, False)
        async with lan.daemon() as networks:
            for options, words in (({"ipvlan_mode": "x"}, "ipvlan mode 'x'"), ({"ipvlan_flag": "x"}, "flag 'x'")):
                with pytest.raises(InvalidArgument, match=words):
                    await lan.network(networks, "bad", "ipvlan", options=options)
            if not known["ipvlan"]:
                with pytest.raises(Unimplemented, match="the kernel of this host has no ipvlan links"):
                    await lan.network(networks, "l3", "ipvlan", options={"parent": "wire", "ipvlan_mode": "l3"})
            if not known["vlan"]:
                with pytest.raises(Unimplemented, match=r"failed to create wire\.10 vlan link"):
                    await macvlan(lan, networks, parent="wire.10")
            assert len(networks.all()) == 3

    run(scenario())


@pytest.mark.vm
@pytest.mark.needs("vlan-links")
def test_a_vlans_sub_interface_comes_with_the_first_network_and_goes_with_the_last(lan, run):
    async def scenario():
        async with lan.daemon() as networks:
            await macvlan(lan, networks, parent="wire.10")
            await macvlan(lan, networks, "more", pools=(Pool("10.98.0.0/24", ""),), parent="wire.10")
            assert links()["wire.10"].kind == "vlan"
            await networks.remove("lan")
            assert "wire.10" in links()
            await networks.remove("more")
            assert "wire.10" not in links()

    run(scenario())


@pytest.mark.vm
@pytest.mark.needs("ipvlan-links")
@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
def test_ipvlan_in_each_mode(lan, run, mode):
    async def scenario():
        async with lan.daemon() as networks:
            await lan.network(networks, "lan", "ipvlan", pools=LAN[:1], options={"parent": "wire", "ipvlan_mode": mode})
            one, held = await lan.run(networks, "one", network="lan")
            two, _ = await lan.run(networks, "two", network="lan")
            lan.serve(two, 80)
            assert held.endpoints[0].mac == ""
            assert await lan.ask(one, "10.99.0.129", 80) == "10.99.0.128"

    run(scenario())


def test_a_stand_in_that_somebody_removed_is_made_again_with_its_links(lan, run):
    async def scenario():
        async with lan.daemon() as networks:
            made = await macvlan(lan, networks, pools=(Pool("10.97.0.0/24", ""),), parent="")
            one, _ = await lan.run(networks, "one", network="lan")
            two, _ = await lan.run(networks, "two", network="lan")
            lan.serve(two, 80)
            with RouteSocket() as route:
                route.delete_link(made.parent)
            assert networks.depends_on(made.parent)
            restored = await networks.repair({"one": one, "two": two})
            for name, namespace in (("one", one), ("two", two)):
                for interface in restored[name].interfaces:
                    lan.configure(namespace, interface)
            assert await lan.ask(one, "10.97.0.2", 80) == "10.97.0.1"

    run(scenario())
