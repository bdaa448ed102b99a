"""The firewalls that hosts have, ufw and firewalld, as Debian packages them: real ones in a namespace of the test's.

Their configuration is a copy, so that the machine's own stays as it is and stays off.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from harness.netns import NetworkNamespace

START_SECONDS = 60

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"

_BUS = """\
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_destination="*"/> <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


def documented(program: str) -> list[list[str]]:
    """The arguments of each call of a program in docs/networks.md."""
    calls = [call.split() for line in PAGE.read_text().splitlines() for call in line.split(" && ")]
    return [words for first, *words in filter(None, calls) if first == program]


class HostFirewall(Protocol):
    """``table``: of its rules for IPv4. Ports are of TCP."""

    table: str

    def open_bridges(self) -> None:
        """What docs/networks.md has for it."""

    def allow(self, port: int) -> None:
        """Let a port of the host be reached from outside."""

    def forbid(self, port: int) -> None:
        """Undo ``allow``."""

    def reload(self) -> None:
        """Make all its rules anew, as its administrator would."""


class Ufw:
    """ufw, enabled: what comes in is denied."""

    table = "ip filter"

    def __init__(self, netns: NetworkNamespace, place: Path) -> None:
        self._netns = netns
        self._place = place
        shutil.copytree("/etc/ufw", place / "ufw")
        shutil.copy("/etc/default/ufw", place / "default")

    def call(self, *words: str) -> None:
        inside = f'mount --bind {self._place}/ufw /etc/ufw; mount --bind {self._place}/default /etc/default/ufw; "$@"'
        self._netns.run(["unshare", "--mount", "sh", "-ec", inside, "sh", "ufw", *words])

    def open_bridges(self) -> None:
        for words in documented("ufw"):
            self.call(*words)

    def allow(self, port: int) -> None:
        self.call("allow", f"{port}/tcp")

    def forbid(self, port: int) -> None:
        self.call("delete", "allow", f"{port}/tcp")

    def reload(self) -> None:
        self.call("reload")


class Firewalld:
    """firewalld at a bus of its own: its zone is ``public``."""

    table = "inet firewalld"

    def __init__(self, netns: NetworkNamespace, bus: str) -> None:
        self._netns = netns
        self._bus = bus

    def call(self, *words: str, check: bool = True) -> bool:
        command = ["env", f"DBUS_SYSTEM_BUS_ADDRESS={self._bus}", "firewall-cmd", *words]
        return self._netns.run(command, check=check).returncode == 0

    def open_bridges(self) -> None:
        for words in documented("firewall-cmd"):
            self.call(*words)

    def allow(self, port: int) -> None:
        self.call(f"--add-port={port}/tcp")

    def forbid(self, port: int) -> None:
        self.call(f"--remove-port={port}/tcp")

    def reload(self) -> None:
        self.call("--reload")


@contextmanager
def ufw(netns: NetworkNamespace, place: Path) -> Iterator[HostFirewall]:
    """An enabled ufw while the context lasts, and no rules of it afterwards."""
    firewall = Ufw(netns, place)
    firewall.call("--force", "enable")
    try:
        yield firewall
    finally:
        firewall.call("disable")
        for family in ("ip", "ip6"):
            netns.run(["nft", "delete", "table", family, "filter"])


@contextmanager
def firewalld(netns: NetworkNamespace, place: Path) -> Iterator[HostFirewall]:
    """A running firewalld while the context lasts; it takes its rules with it."""
    socket = place / "bus"
    (place / "bus.conf").write_text(_BUS.format(socket=socket))
    shutil.copytree("/etc/firewalld", place / "etc")
    bus = f"unix:path={socket}"
    daemon = ["firewalld", "--nofork", "--nopid", f"--system-config={place}/etc", f"--log-file={place}/log"]
    with (
        _running(["dbus-daemon", f"--config-file={place}/bus.conf", "--nofork", "--nopidfile"]),
        _running(netns.command(["env", f"DBUS_SYSTEM_BUS_ADDRESS={bus}", *daemon])) as process,
    ):
        firewall = Firewalld(netns, bus)
        deadline = time.monotonic() + START_SECONDS
        while not (socket.exists() and firewall.call("--state", check=False)):
            assert process.poll() is None and time.monotonic() < deadline, "firewalld does not start"
            time.sleep(0.1)
        yield firewall


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
