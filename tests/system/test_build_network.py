"""The network of a build's steps: which one each RUN has, and who has to allow what."""

import os
from pathlib import Path

import pytest

from harness.engine import Engine

SAYS = "readlink /proc/self/ns/net; ls /sys/class/net | sort | tr '\\n' ' '; echo"


def built(engine: Engine, place: Path, dockerfile: str, *flags: str) -> list[str]:
    """The lines that the steps write."""
    (place / "Dockerfile").write_text(dockerfile)
    lines = [
        line.split(" ", 2) for line in engine.cove("build", "--progress=plain", *flags, str(place)).err.split("\n")
    ]
    return [line[2].strip() for line in lines if len(line) == 3 and line[1][:1].isdigit()]


def _asking(*options: str) -> str:
    """A Dockerfile with a RUN for each, none like another."""
    runs = (f"RUN {option} : {number}; {SAYS}\n" for number, option in enumerate(options))
    return "".join(["FROM busybox\n", *runs])


def refused(engine: Engine, place: Path, line: str, *flags: str, client: str = "cove") -> str:
    """What a build with one step ends with."""
    (place / "Dockerfile").write_text(f"FROM busybox\nRUN echo first\n{line}\n")
    done = (engine.cove if client == "cove" else engine.docker)("build", *flags, str(place), check=False)
    assert done.code == 1 and "echo first" not in done.out
    return done.err


def test_each_step_has_the_network_that_it_asks_for(daemon: Engine, tmp_path: Path) -> None:
    text = _asking("", "--network=none", "--network=host", "--network=default")
    host = os.readlink(f"/proc/{daemon.pid}/ns/net")
    lines = built(daemon, tmp_path, text, "--allow", "network.host")
    namespaces, interfaces = lines[::2], lines[1::2]
    assert [name == host for name in namespaces] == [False, False, True, False]
    assert [interfaces[0], interfaces[1], interfaces[3]] == ["eth0 lo", "lo", "eth0 lo"]


def test_the_network_of_the_build_is_that_of_its_steps(daemon: Engine, tmp_path: Path) -> None:
    host = os.readlink(f"/proc/{daemon.pid}/ns/net")
    text = _asking("", "--network=none", "--network=host")
    lines = built(daemon, tmp_path, text, "--network", "host")
    assert [name == host for name in lines[::2]] == [True, False, True]
    assert built(daemon, tmp_path, _asking(""), "--network", "none")[1] == "lo"


@pytest.mark.parametrize("client", ["cove", "docker"])
@pytest.mark.parametrize(
    ("line", "entitlement"),
    [("RUN --network=host true", "network.host"), ("RUN --security=insecure true", "security.insecure")],
)
def test_what_nobody_has_allowed_is_refused(
    daemon: Engine, tmp_path: Path, line: str, entitlement: str, client: str
) -> None:
    assert f"{entitlement} is not allowed" in refused(daemon, tmp_path, line, client=client)


def test_one_is_not_the_other(daemon: Engine, tmp_path: Path) -> None:
    said = refused(daemon, tmp_path, "RUN --network=host true", "--allow", "security.insecure")
    assert "network.host is not allowed" in said
    said = refused(daemon, tmp_path, "RUN true", "--allow", "network.hosts")
    assert "unknown entitlement network.hosts" in said


def test_the_stock_client_allows_it_by_the_network_of_the_build(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN --network=host readlink /proc/self/ns/net\n")
    out = daemon.docker("build", "--network", "host", str(tmp_path)).out
    assert os.readlink(f"/proc/{daemon.pid}/ns/net") in out
