"""Namespace modes: what containers share with the host and each other, what is refused, and what follows an end."""

import os
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static")

KINDS = ("pid", "ipc", "uts", "net", "cgroup", "user", "mnt")


def sleeping(engine: Engine, name: str, *flags: str) -> None:
    engine.docker("run", "-d", "--net", "none", "--name", name, *flags, "busybox", "sleep", "300")


def namespaces(engine: Engine, *flags: str) -> dict[str, str]:
    """What the links of /proc/self/ns say in a new container."""
    script = "for kind in " + " ".join(KINDS) + "; do readlink /proc/self/ns/$kind; done"
    out = engine.docker("run", "--rm", "--net", "none", *flags, "busybox", "sh", "-c", script).out
    return dict(zip(KINDS, out.split(), strict=True))


def of_host(kind: str, pid: int | str = "self") -> str:
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def pid(engine: Engine, name: str) -> int:
    return int(engine.docker("inspect", "-f", "{{.State.Pid}}", name).out)


def test_a_container_has_its_own(daemon: Engine) -> None:
    found = namespaces(daemon, "--cgroupns", "private")
    assert {kind for kind in KINDS if found[kind] == of_host(kind)} == {"user"}


@pytest.mark.parametrize(("flag", "kind"), [("pid", "pid"), ("ipc", "ipc"), ("uts", "uts"), ("cgroupns", "cgroup")])
def test_the_hosts(daemon: Engine, flag: str, kind: str) -> None:
    found = namespaces(daemon, f"--{flag}", "host", "--userns", "host")
    assert found[kind] == of_host(kind)
    assert found["mnt"] != of_host("mnt")


def test_the_hosts_network_is_the_daemons(daemon: Engine) -> None:
    found = daemon.docker("run", "--rm", "--net", "host", "busybox", "readlink", "/proc/self/ns/net").out.strip()
    assert found == of_host("net", daemon.pid)


@pytest.mark.parametrize(("flag", "kind"), [("pid", "pid"), ("ipc", "ipc"), ("network", "net")])
def test_another_containers(daemon: Engine, flag: str, kind: str) -> None:
    sleeping(daemon, "owner", "--ipc", "shareable")
    script = f"readlink /proc/self/ns/{kind}"
    network = () if flag == "network" else ("--net", "none")
    joined = daemon.docker("run", "--rm", *network, f"--{flag}", "container:owner", "busybox", "sh", "-c", script).out
    assert joined.strip() == of_host(kind, pid(daemon, "owner"))


def test_processes_of_a_shared_pid_namespace_see_each_other(daemon: Engine) -> None:
    sleeping(daemon, "owner")
    flags = ("--rm", "--net", "none", "--pid", "container:owner")
    assert "sleep 300" in daemon.docker("run", *flags, "busybox", "ps").out
    assert daemon.docker("run", *flags, "busybox", "kill", "-0", "1").code == 0


def test_shared_memory_comes_with_the_ipc_namespace(daemon: Engine) -> None:
    sleeping(daemon, "owner", "--ipc", "shareable", "--shm-size", "8m")
    daemon.docker("exec", "owner", "sh", "-c", "echo words > /dev/shm/note")
    flags = ("--rm", "--net", "none", "--ipc", "container:owner")
    script = "cat /dev/shm/note; echo more > /dev/shm/reply; df -k /dev/shm | tail -1; ls -d /dev/mqueue"
    out = daemon.docker("run", *flags, "busybox", "sh", "-c", script).out
    assert out.startswith("words\n") and "8192" in out
    assert daemon.docker("exec", "owner", "cat", "/dev/shm/reply").out == "more\n"
    sleeping(daemon, "second", "--ipc", "container:owner")
    third = ("--rm", "--net", "none", "--ipc", "container:second")
    assert daemon.docker("run", *third, "busybox", "cat", "/dev/shm/note").out == "words\n"


@pytest.mark.needs("cove")
def test_a_link_in_the_place_of_shared_memory_is_not_followed(daemon: Engine) -> None:
    """The owner of an IPC namespace chooses nothing of the host, or of itself, for those who join."""
    sleeping(daemon, "owner", "--ipc", "shareable", "--cap-add", "SYS_ADMIN")
    script = "umount /dev/shm && rmdir /dev/shm && ln -s /etc /dev/shm"
    daemon.docker("exec", "owner", "sh", "-c", script)
    flags = ("--rm", "--net", "none", "--ipc", "container:owner")
    done = daemon.docker("run", *flags, "busybox", "ls", "/dev/shm", check=False)
    assert done.code != 0 and "passwd" not in done.out and "/dev/shm" in done.err


def test_ipc_none_and_host(daemon: Engine) -> None:
    flags = ("run", "--rm", "--net", "none")
    assert daemon.docker(*flags, "--ipc", "none", "busybox", "ls", "/dev/shm", check=False).code == 1
    note = Path(f"/dev/shm/cove-test-{os.getpid()}")
    note.write_text("of the host")
    try:
        out = daemon.docker(*flags, "--ipc", "host", "busybox", "cat", str(note)).out
    finally:
        note.unlink()
    assert out == "of the host"


def test_the_hosts_name(daemon: Engine) -> None:
    out = daemon.docker("run", "--rm", "--net", "none", "--uts", "host", "busybox", "hostname").out
    assert out.strip() == os.uname().nodename


REFUSED = [
    ("--pid container:stopped", "container ID is not running"),
    ("--ipc container:private", "can't join IPC of container ID: non-shareable IPC"),
    ("--ipc container:stopped", "can't join IPC of container ID: container ID is not running"),
    ("--network container:stopped", "cannot join network of a non running container: ID"),
    ("--pid container:nobody", "No such container: nobody"),
    ("--ipc container:nobody", "No such container: nobody"),
    ("--network container:nobody", "No such container: nobody"),
    ("--network container:", "Invalid network mode: invalid container format container:<name|id>"),
    ("--uts host --hostname me", "conflicting options: hostname and the UTS mode"),
    ("--network container:private --hostname me", "conflicting options: hostname and the network mode"),
    (
        "--network container:private -p 80:80",
        "conflicting options: port publishing and the container type network mode",
    ),
    (
        "--network container:private --expose 80",
        "conflicting options: port exposing and the container type network mode",
    ),
    ("--network container:private --dns 1.1.1.1", "conflicting options: dns and the network mode"),
    (
        "--network container:private --add-host a:1.1.1.1",
        "conflicting options: custom host-to-IP mapping and the network mode",
    ),
    (
        "--network container:private --link private",
        "conflicting options: container type network can't be used with links. This would result in undefined behavior",
    ),
    (
        "--network host --link private",
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    ),
]


def test_what_is_refused(daemon: Engine) -> None:
    sleeping(daemon, "private", "--ipc", "private")
    daemon.docker("create", "--name", "stopped", "busybox")
    ids = {name: daemon.docker("inspect", "-f", "{{.Id}}", name).out.strip() for name in ("private", "stopped")}
    for flags, words in REFUSED:
        network = () if "--network" in flags else ("--net", "none")
        done = daemon.docker("run", "--rm", *network, *flags.split(), "busybox", "true", check=False)
        expected = words.replace("ID", ids["stopped" if "stopped" in flags else "private"])
        assert done.code == 125 and expected in done.err, (flags, done.err)


@pytest.mark.needs("cove")
@pytest.mark.parametrize(
    ("field", "mode", "words"),
    [
        ("IpcMode", "bogus", "invalid IPC mode: bogus"),
        ("IpcMode", "container:", "invalid IPC mode: container:"),
        ("PidMode", "bogus", "invalid PID mode: bogus"),
        ("UTSMode", "container:x", "invalid UTS mode: container:x"),
        ("UsernsMode", "bogus", "invalid user namespace mode: bogus"),
        ("CgroupnsMode", "bogus", "invalid cgroup namespace mode: bogus"),
    ],
)
def test_modes_that_do_not_exist(daemon: Engine, field: str, mode: str, words: str) -> None:
    answer = daemon.http("POST", "/containers/create", {"Image": "busybox", "Cmd": ["x"], "HostConfig": {field: mode}})
    assert answer.status == 400 and words in answer.body.decode()


def status(engine: Engine, name: str) -> str:
    return engine.docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name).out.strip()


def test_the_end_of_a_pid_namespace_is_the_end_of_all_in_it(daemon: Engine) -> None:
    sleeping(daemon, "owner")
    sleeping(daemon, "guest", "--pid", "container:owner")
    daemon.docker("stop", "-t", "0", "owner")
    eventually(lambda: status(daemon, "guest") == "exited 137")
    refused = daemon.docker("start", "guest", check=False)
    assert refused.code == 1 and "is not running" in refused.err
    daemon.docker("start", "owner")
    daemon.docker("start", "guest")
    assert os.readlink(f"/proc/{pid(daemon, 'guest')}/ns/pid") == of_host("pid", pid(daemon, "owner"))
    daemon.docker("stop", "-t", "0", "guest")
    assert status(daemon, "owner").startswith("running")


def test_guests_go_on_in_a_network_and_ipc_namespace_whose_owner_ended(daemon: Engine) -> None:
    sleeping(daemon, "owner", "--ipc", "shareable")
    daemon.docker("run", "-d", "--name", "guest", "--net", "container:owner", "--ipc", "container:owner", *SLEEP)
    before = of_host("net", pid(daemon, "guest"))
    daemon.docker("restart", "-t", "0", "owner")
    assert status(daemon, "guest").startswith("running")
    assert of_host("net", pid(daemon, "guest")) == before != of_host("net", pid(daemon, "owner"))
    daemon.docker("restart", "-t", "0", "guest")
    assert of_host("net", pid(daemon, "guest")) == of_host("net", pid(daemon, "owner"))
    assert of_host("ipc", pid(daemon, "guest")) == of_host("ipc", pid(daemon, "owner"))


SLEEP = ("busybox", "sleep", "300")


@pytest.mark.needs("cove")
def test_shared_namespaces_outlive_the_daemon(fresh_daemon: Daemon) -> None:
    sleeping(fresh_daemon, "owner", "--ipc", "shareable")
    sleeping(fresh_daemon, "guest", "--pid", "container:owner", "--ipc", "container:owner")
    fresh_daemon.kill9()
    fresh_daemon.start()
    assert "sleep 300" in fresh_daemon.docker("exec", "guest", "ps").out
    fresh_daemon.docker("restart", "-t", "0", "owner")
    eventually(lambda: status(fresh_daemon, "guest") == "exited 137")
    fresh_daemon.docker("start", "guest")
    assert of_host("pid", pid(fresh_daemon, "guest")) == of_host("pid", pid(fresh_daemon, "owner"))
