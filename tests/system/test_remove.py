"""``docker rm``, ``rename``, ``ps`` and ``inspect``."""

import json
import os

import pytest

from cove.kernel import cgroups
from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually


def test_running_needs_force(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    done = daemon.docker("rm", "box", check=False)
    assert done.code == 1
    assert "cannot remove" in done.err.lower() or "You cannot remove a running container" in done.err
    assert daemon.docker("rm", "-f", "box").out == "box\n"
    assert daemon.docker("ps", "-aq").out == ""


def test_stopped(daemon: Engine) -> None:
    daemon.docker("run", "--name", "box", "busybox", "true")
    assert daemon.docker("rm", "box").out == "box\n"


def test_of_no_container(daemon: Engine) -> None:
    done = daemon.docker("rm", "nonesuch", check=False)
    assert done.code == 1
    assert "No such container: nonesuch" in done.err
    assert daemon.http("DELETE", "/containers/nonesuch").status == 404


@pytest.mark.parametrize("flag", [True, False])
def test_volumes_go_only_when_asked(daemon: Engine, flag: bool) -> None:
    daemon.docker("run", "--name", "box", "-v", "/anonymous", "-v", "named:/named", "busybox", "true")
    daemon.docker("rm", *(["-v"] if flag else []), "box")
    left = daemon.docker("volume", "ls", "-q").out.split()
    assert "named" in left
    assert len(left) == (1 if flag else 2)


def test_by_the_start_of_the_id(daemon: Engine) -> None:
    container = daemon.docker("create", "busybox", "true").out.strip()
    daemon.docker("rm", container[:6])
    assert daemon.docker("ps", "-aq").out == ""


def test_rename(daemon: Engine) -> None:
    daemon.docker("create", "--name", "old", "busybox", "true")
    daemon.docker("create", "--name", "other", "busybox", "true")
    daemon.docker("rename", "old", "new")
    assert daemon.docker("inspect", "-f", "{{.Name}}", "new").out == "/new\n"
    assert daemon.docker("inspect", "old", check=False).code == 1
    assert "already in use" in daemon.docker("rename", "new", "other", check=False).err


def test_name_that_is_none(daemon: Engine) -> None:
    done = daemon.docker("create", "--name", "no/name", "busybox", "true", check=False)
    assert done.code == 1
    assert "Invalid container name (no/name), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed" in done.err


def test_list(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "up", "--label", "tier=web", "busybox", "sleep", "600")
    daemon.docker("run", "--name", "down", "busybox", "sh", "-c", "exit 3", check=False)
    names = "{{.Names}}"
    assert daemon.docker("ps", "--format", names).out.split() == ["up"]
    assert daemon.docker("ps", "-a", "--format", names).out.split() == ["down", "up"]
    for condition, expected in (
        ("status=exited", ["down"]),
        ("exited=3", ["down"]),
        ("label=tier=web", ["up"]),
        ("name=^/?dow", ["down"]),
        ("ancestor=busybox", ["down", "up"]),
        ("before=down", ["up"]),
    ):
        assert daemon.docker("ps", "-a", "--filter", condition, "--format", names).out.split() == expected, condition
    assert daemon.docker("ps", "-n", "1", "--format", names).out.split() == ["down"]


def test_table(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "-p", "127.0.0.1:8081:80", "busybox", "sleep", "600")
    header, line = daemon.docker("ps").out.splitlines()
    assert header.split() == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert '"sleep 600"' in line
    assert "127.0.0.1:8081->80/tcp" in line
    assert " Up " in line


def test_size(daemon: Engine) -> None:
    daemon.docker("run", "--name", "box", "busybox", "sh", "-c", "head -c 2000000 /dev/zero >/big")
    (seen,) = daemon.http("GET", "/containers/json?all=1&size=1").json()
    assert 2_000_000 <= seen["SizeRw"] < 2_100_000
    assert seen["SizeRootFs"] > seen["SizeRw"]


def test_inspect_says_what_was_asked_for(daemon: Engine) -> None:
    flags = ("-e", "A=b", "-m", "64m", "--label", "x=y", "--restart", "on-failure:4", "-w", "/tmp", "-u", "1:2")
    daemon.docker("create", "--name", "box", *flags, "busybox", "sleep", "1")
    (seen,) = json.loads(daemon.docker("inspect", "box").out)
    assert "A=b" in seen["Config"]["Env"]
    assert seen["Config"]["Labels"] == {"x": "y"}
    assert (seen["Config"]["WorkingDir"], seen["Config"]["User"]) == ("/tmp", "1:2")
    assert seen["HostConfig"]["Memory"] == 64 << 20
    assert seen["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 4}
    assert (seen["Path"], seen["Args"]) == ("sleep", ["1"])


@pytest.mark.parametrize(
    ("target", "body", "status"),
    [
        pytest.param("/containers/create", b"{", 400, marks=pytest.mark.needs("cove")),  # Docker 20.10 says 500
        ("/containers/create", {"Image": "nonesuch"}, 404),
        ("/containers/create", {"Image": "busybox", "HostConfig": {"Memory": 1}}, 400),
        ("/containers/nonesuch/start", None, 404),
        ("/v9.99/containers/create", {"Image": "busybox"}, 400),
        ("/nowhere", None, 404),
    ],
)
def test_bad_requests_get_a_message(daemon: Engine, target: str, body: object, status: int) -> None:
    answer = daemon.http("POST", target, body, {"Content-Type": "application/json"})
    assert answer.status == status
    assert answer.json()["message"]
    assert daemon.docker("ps", "-aq").out == ""


@pytest.mark.needs("cove")
def test_a_control_group_that_was_made_once_more_goes_with_its_container(daemon: Daemon) -> None:
    """As by the child of a shim that was killed during a start, and that is seen to be gone before the child is."""
    made = daemon.docker("create", "busybox").out.strip()
    group = cgroups.Cgroup(cgroups.layout(), f"{daemon.cgroup_parent}/{made}")
    for directory in group.directories:
        os.makedirs(directory)
    daemon.docker("rm", made)
    eventually(lambda: not any(map(os.path.isdir, group.directories)))
