"""The host's own servers: on its loopback, over IPv6, and another one while containers run."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.dns_server import host_address, running
from harness.engine import Engine

pytestmark = pytest.mark.needs("cove")

FIRST, SECOND, SIXTH = "127.0.0.153", "198.51.100.53", "2001:db8:5::53"


class Elsewhere(Daemon):
    """A daemon for which the host has another /etc, where a test may change files."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "--debug")
        self.etc = Path(tempfile.mkdtemp(prefix=f"{name}-etc-"))
        shutil.copytree("/etc", self.etc, dirs_exist_ok=True, symlinks=True)
        (self.etc / "resolv.conf").unlink(missing_ok=True)
        self.resolve(FIRST)

    def resolve(self, *servers: str) -> None:
        """Replace the host's resolv.conf, as programs do that write it."""
        fresh = self.etc / "resolv.conf.new"
        fresh.write_text("".join(f"nameserver {server}\n" for server in servers))
        fresh.rename(self.etc / "resolv.conf")

    def argv(self) -> list[str]:
        mounting = 'mount --bind "$0" /etc && exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", mounting, str(self.etc), *super().argv()]

    def close(self) -> None:
        super().close()
        shutil.rmtree(self.etc)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    daemon = Elsewhere(f"cove-test-{os.getpid()}-h")
    try:
        daemon.start()
        daemon.load_base_image()
        yield daemon
    finally:
        daemon.close()


def ask(engine: Engine, name: str) -> str:
    return engine.docker("exec", "box", "nslookup", "-type=a", name, check=False).out


def test_the_host_s_loopback_ipv6_and_a_change_while_a_container_runs(elsewhere: Elsewhere) -> None:
    daemon, here = elsewhere, elsewhere.netns.command([])
    daemon.docker("network", "create", "net")
    daemon.docker("run", "-d", "--name", "box", "--network", "net", "busybox", "sleep", "600")
    with (
        host_address(daemon.netns, SECOND),
        host_address(daemon.netns, SIXTH),
        running(here, FIRST, "one.test=192.0.2.1"),
        running(here, SECOND, "two.test=192.0.2.2"),
        running(here, SIXTH, "six.test=192.0.2.6"),
    ):
        assert "192.0.2.1" in ask(daemon, "one.test"), "a server on the host's loopback"
        daemon.resolve(SECOND)
        assert "192.0.2.2" in ask(daemon, "two.test") and "NXDOMAIN" in ask(daemon, "one.test")
        daemon.resolve(SIXTH)
        assert "192.0.2.6" in ask(daemon, "six.test"), "a server that has an IPv6 address"
        daemon.resolve()
        daemon.resolve("::1", FIRST)
        assert "192.0.2.1" in ask(daemon, "one.test"), "of two the first does not listen"
