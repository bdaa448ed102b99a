"""A project of Compose with two networks: names, aliases, static addresses, published ports, an internal back end."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.compose import Compose
from harness.engine import Engine

pytestmark = [pytest.mark.needs("root", "docker-cli", "busybox-static"), pytest.mark.timeout(180)]

GET = r"printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 2 {} 80"

PROJECT = """
x-server: &server
  image: busybox
  command: ["sh", "-c", "hostname >/tmp/index.html; exec httpd -f -p 80 -h /tmp"]
  stop_grace_period: 100ms
services:
  proxy:
    <<: *server
    ports: ["18087:80"]
    networks:
      front: {aliases: [www.shop.test]}
      back: {}
  app:
    <<: *server
    networks: [back]
  db:
    <<: *server
    networks:
      back:
        ipv4_address: 10.77.3.20
        aliases: [database]
networks:
  front: {}
  back:
    internal: true
    ipam:
      config: [{subnet: 10.77.3.0/24, gateway: 10.77.3.1}]
"""


@pytest.fixture
def compose(daemon: Engine, tmp_path: Path) -> Iterator[Compose]:
    made = Compose(daemon, tmp_path, PROJECT)
    made("up", "--detach", "--quiet-pull", "--scale", "app=3")
    yield made
    made("down", "--volumes")
    assert daemon.docker("network", "ls", "-q", "--filter", "name=shop").out == ""


def test_two_networks(daemon: Engine, compose: Compose) -> None:
    def inside(service: str, script: str, *, fails: bool = False) -> str:
        done = daemon.docker("exec", f"shop-{service}", "sh", "-c", script, check=False)
        assert (done.code != 0) == fails, (service, script, done)
        return done.out

    def addresses(service: str, name: str) -> list[str]:
        """busybox here is static, and glibc's static programs have only nslookup's own resolver."""
        return re.findall(r"^Address: (\S+)$", inside(service, f"nslookup -type=a {name}"), re.MULTILINE)

    def fetched(service: str, host: str) -> str:
        address = addresses(service, host)[0]
        return inside(service, GET.format(address)).splitlines()[-1]

    names = {name: daemon.sdk.containers.get(f"shop-{name}") for name in ("proxy-1", "app-1", "app-2", "app-3", "db-1")}
    ids = {name: container.id[:12] for name, container in names.items()}

    assert daemon.fetch("http://127.0.0.1:18087/").strip() == ids["proxy-1"]
    for host in ("db", "database", "shop-db-1", ids["db-1"]):
        assert fetched("proxy-1", host) == ids["db-1"]
    assert names["db-1"].attrs["NetworkSettings"]["Networks"]["shop_back"]["IPAddress"] == "10.77.3.20"
    assert addresses("app-2", "database") == ["10.77.3.20"]
    assert fetched("proxy-1", "www.shop.test") == ids["proxy-1"]

    # A name that three containers share has all their addresses, in turns.
    assert len(addresses("proxy-1", "app")) == 3
    answers = {fetched("proxy-1", "app") for _ in range(24)}
    assert answers == {ids[f"app-{number}"] for number in (1, 2, 3)}

    # The alias is the other network's; and the back end reaches nothing but itself.
    inside("app-1", "nslookup www.shop.test", fails=True)
    inside("app-1", "ip route | grep default", fails=True)
    assert "default via" in inside("proxy-1", "ip route")
    front = names["proxy-1"].attrs["NetworkSettings"]["Networks"]["shop_front"]["IPAddress"]
    inside("app-1", GET.format(front), fails=True)


def test_scaled_down_names_go(daemon: Engine, compose: Compose) -> None:
    compose("up", "--detach", "--quiet-pull", "--scale", "app=1")
    done = daemon.docker("exec", "shop-proxy-1", "nslookup", "-type=a", "app")
    assert done.out.count("10.77.3.") == 1
    gone = daemon.docker("exec", "shop-proxy-1", "nslookup", "-type=a", "shop-app-3", check=False)
    assert gone.code != 0
