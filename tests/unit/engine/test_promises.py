"""Which addresses are somebody's although nobody has them: as the records last said, and gone with them."""

import asyncio

import pytest

from cove.engine.networking.promises import Promises
from cove.network import NetworkRecord
from cove.wire.networks import EndpointIPAMConfig, EndpointSettings, NetworkingConfig
from unit.engine.containers import container

NET = NetworkRecord("1d", "net", "bridge")
TEN = 10 << 24


def asking(network: str, *addresses: str) -> NetworkingConfig:
    four, six = (*addresses, "", "")[:2]
    asked = EndpointIPAMConfig(ipv4_address=four, ipv6_address=six)
    return NetworkingConfig(endpoints_config={network: EndpointSettings(ipam_config=asked), "other": None})


@pytest.mark.parametrize("name", ["net", "1d"])
def test_what_records_ask_for(name: str) -> None:
    asyncio.run(_asked_for(name))


async def _asked_for(name: str) -> None:
    promises = Promises()
    one, two = container("a", networking=asking(name, "10.0.0.9", "fd00::9")), container("b", networking=asking(name))
    for each in (one, two, one):
        promises.note(each)
    assert set(promises.on(NET)) == {TEN + 9, (0xFD << 120) + 9}
    two.record.networking = asking("net", "10.0.0.9")
    promises.note(two)
    one.record.networking = asking("net", "10.0.0.8")
    promises.note(one)
    assert set(promises.on(NET)) == {TEN + 8, TEN + 9}
    promises.forget("b")
    promises.forget("b")
    assert set(promises.on(NET)) == {TEN + 8}
    promises.forget("a")
    assert not promises.on(NET)


def test_what_is_no_address_is_no_promise() -> None:
    asyncio.run(_no_address())


async def _no_address() -> None:
    promises = Promises()
    promises.note(container(networking=asking("net", "10.0.0", "10.0.0.0/8")))
    assert not promises.on(NET)
