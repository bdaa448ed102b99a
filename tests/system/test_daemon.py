"""``coved`` itself: its configuration, a reload, and what it refuses at start."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import rawhttp
from harness.daemon import Daemon
from harness.engine import BIN
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove")


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[tuple[Daemon, Path]]:
    """A daemon that reads a configuration file, and the file."""
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({"log-level": "info"}))
    daemon = Daemon(f"cove-test-{os.getpid()}-configured", f"--config-file={file}")
    try:
        daemon.start()
        yield daemon, file
    finally:
        daemon.close()


def hang_up(daemon: Daemon) -> None:
    assert daemon.pid is not None
    os.kill(daemon.pid, signal.SIGHUP)


def test_a_hang_up_reloads_the_configuration(configured: tuple[Daemon, Path]) -> None:
    daemon, file = configured
    daemon.docker("version")
    assert "/version 200" not in daemon.log.read_text()
    file.write_text(json.dumps({"log-level": "info", "debug": True}))
    hang_up(daemon)
    eventually(lambda: "configuration reloaded" in daemon.log.read_text())
    daemon.docker("version")
    eventually(lambda: "/version 200" in daemon.log.read_text())


def test_a_bad_configuration_is_not_taken(configured: tuple[Daemon, Path]) -> None:
    daemon, file = configured
    file.write_text(json.dumps({"log-level": "loud"}))
    hang_up(daemon)
    eventually(lambda: "unable to parse logging level: loud" in daemon.log.read_text())
    assert daemon.docker("version").code == 0


def refused(*flags: str) -> str:
    done = subprocess.run([BIN / "coved", *flags], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_cannot_be_is_refused_in_a_line(tmp_path: Path) -> None:
    roots = (f"--data-root={tmp_path}/data", f"--exec-root={tmp_path}/run")
    assert "--allow-unauthenticated-tcp" in refused(*roots, "--host=tcp://127.0.0.1:2375")
    assert "invalid bind address (ftp://x)" in refused(*roots, "--host=ftp://x")
    for bad in ("x", "-1", "0x100000000", "1/", "1/2/3", "1 accept"):
        assert f'invalid firewall mark "{bad}"' in refused(*roots, f"--bridge-accept-fwmark={bad}")
    assert "no such file or directory" in refused(*roots, f"--config-file={tmp_path}/nonesuch")
    assert not (tmp_path / "data").exists()


def test_validate_says_so_and_starts_nothing(tmp_path: Path) -> None:
    command = [BIN / "coved", "--validate", f"--data-root={tmp_path}/data", f"--exec-root={tmp_path}/run"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "configuration OK\n")
    assert not (tmp_path / "data").exists()


def test_cove_daemon_is_coved() -> None:
    shown = [
        subprocess.run([BIN / name, *more, "--help"], capture_output=True, text=True, timeout=30).stdout
        for name, more in (("cove", ("daemon",)), ("coved", ()))
    ]
    assert shown[0] == shown[1]
    assert "--data-root" in shown[1]


def test_a_reload_is_an_event_and_shows(configured: tuple[Daemon, Path]) -> None:
    daemon, file = configured
    file.write_text(json.dumps({"log-level": "info", "labels": ["a=b"], "registry-mirrors": ["https://mirror.test"]}))
    hang_up(daemon)
    info = eventually(lambda: daemon.sdk.info(), lambda info: info["Labels"] == ["a=b"])
    assert info["RegistryConfig"]["Mirrors"] == ["https://mirror.test/"]
    now = f"{time.time():.9f}"
    told = daemon.docker("events", "--since", "1h", "--until", now, "--filter", "type=daemon", "--format", "{{json .}}")
    event = json.loads(told.out.splitlines()[-1])
    assert event["Action"] == "reload"
    assert event["Actor"]["Attributes"]["labels"] == '["a=b"]'
    assert event["Actor"]["Attributes"]["debug"] == "false"


def test_a_reload_changes_how_long_an_end_may_take(configured: tuple[Daemon, Path]) -> None:
    """A stop that no signal hurries is under way: with the first limit the daemon's end would take minutes."""
    daemon, file = configured
    file.write_text(json.dumps({"log-level": "info", "shutdown-timeout": 600}))
    daemon.restart()
    daemon.load_base_image()
    daemon.docker("run", "-d", "--name", "stays", "busybox", "sh", "-c", "trap : TERM; while :; do sleep 1; done")
    with rawhttp.sent(daemon.socket, "POST", "/containers/stays/stop?t=-1"):
        eventually(lambda: "kill" in told(daemon, "container"))
        file.write_text(json.dumps({"log-level": "info", "shutdown-timeout": 0}))
        hang_up(daemon)
        eventually(lambda: "reload" in told(daemon, "daemon"))
        assert daemon.stop() == 0


def told(daemon: Daemon, kind: str) -> list[str]:
    """What has happened to this kind of objects."""
    moment = f"{time.time():.9f}"
    done = daemon.docker(
        "events", "--since", "1h", "--until", moment, "--filter", f"type={kind}", "--format", "{{.Action}}"
    )
    return done.out.split()


def test_a_reload_turns_features_off_and_on(configured: tuple[Daemon, Path]) -> None:
    daemon, file = configured
    directory = daemon.cdi_directories[0]
    directory.mkdir()
    device = {
        "cdiVersion": "0.6.0",
        "kind": "acme.test/box",
        "devices": [{"name": "one", "containerEdits": {"env": ["A=1"]}}],
    }
    (directory / "acme.json").write_text(json.dumps(device))
    for on in (True, False, True):
        file.write_text(json.dumps({"log-level": "info", "features": {"cdi": on}}))
        hang_up(daemon)
        found = [{"Source": "cdi", "ID": "acme.test/box=one"}] if on else None
        eventually(lambda: daemon.sdk.info(), lambda info, wanted=found: info.get("DiscoveredDevices") == wanted)


def test_info_tells_of_pools_resources_and_listeners(configured: tuple[Daemon, Path]) -> None:
    daemon, file = configured
    pools = [{"base": "10.77.0.0/16", "size": 24}]
    file.write_text(
        json.dumps({"log-level": "info", "default-address-pools": pools, "node-generic-resources": ["a=2"]})
    )
    daemon.restart()
    info = daemon.sdk.info()
    assert info["DefaultAddressPools"] == [{"Base": "10.77.0.0/16", "Size": 24}]
    assert info["GenericResources"] == [{"DiscreteResourceSpec": {"Kind": "a", "Value": 2}}]
    assert info["LiveRestoreEnabled"] is True
    assert info["NEventsListener"] == 0
    with rawhttp.opened(daemon.socket, "GET", "/events"):
        assert daemon.sdk.info()["NEventsListener"] == 1
    eventually(lambda: daemon.sdk.info()["NEventsListener"], lambda number: number == 0)
    content = {"log-level": "info", "default-address-pools": pools, "node-generic-resources": ["gpu=UUID1"]}
    file.write_text(json.dumps(content))
    hang_up(daemon)
    named = [{"NamedResourceSpec": {"Kind": "gpu", "Value": "UUID1"}}]
    eventually(lambda: daemon.sdk.info()["GenericResources"], lambda shown: shown == named)


def test_what_containers_get_that_do_not_say_otherwise(tmp_path: Path) -> None:
    flags = (
        "--default-ulimit=nofile=100:200",
        "--default-shm-size=8m",
        "--no-new-privileges",
        "--default-ipc-mode=shareable",
        "--log-format=json",
        "--experimental",
    )
    daemon = Daemon(f"cove-test-{os.getpid()}-defaults", *flags)
    try:
        daemon.start()
        daemon.load_base_image()
        script = "ulimit -n; df -m /dev/shm | tail -1; grep NoNewPrivs /proc/self/status"
        seen = daemon.docker("run", "--name", "box", "busybox", "sh", "-c", script).out.split()
        assert (seen[0], seen[2], seen[-1]) == ("100", "8", "1")
        host = daemon.sdk.containers.get("box").attrs["HostConfig"]
        assert host["IpcMode"] == "shareable"
        assert host["Ulimits"] == [{"Name": "nofile", "Soft": 100, "Hard": 200}]
        own = daemon.docker("run", "--rm", "--ulimit", "nofile=50", "--shm-size", "4m", "busybox", "sh", "-c", script)
        assert own.out.split()[0] == "50" and own.out.split()[2] == "4"
        assert daemon.sdk.info()["ExperimentalBuild"] is True
        version = daemon.http("GET", "/version")
        assert version.json()["Experimental"] is True
        assert version.json()["Components"][0]["Details"]["Experimental"] == "true"
        assert {
            version.headers["docker-experimental"],
            daemon.http("HEAD", "/_ping").headers["docker-experimental"],
        } == {"true"}
        assert all(json.loads(line)["level"] for line in daemon.log.read_text().splitlines())
    finally:
        daemon.close()


INIT = """#!/bin/sh
shift
echo init
exec "$@"
"""


def test_what_surrounds_containers_that_do_not_say_otherwise(tmp_path: Path) -> None:
    """Their init, control groups and their namespace of those; the daemon's own score is not theirs."""
    init = tmp_path / "init"
    init.write_text(INIT)
    init.chmod(0o755)
    flags = ("--init", f"--init-path={init}", "--default-cgroupns-mode=host", "--oom-score-adjust=321")
    daemon = Daemon(f"cove-test-{os.getpid()}-around", *flags)
    try:
        daemon.start()
        daemon.load_base_image()
        assert Path(f"/proc/{daemon.pid}/oom_score_adj").read_text() == "321\n"
        info = daemon.http("GET", "/info").json()
        assert info["InitBinary"] == str(init)
        script = "cat /proc/1/oom_score_adj; readlink /proc/self/ns/cgroup; cat /proc/1/cgroup"
        words, score, namespace, *groups = daemon.docker(
            "run", "--name", "box", "busybox", "sh", "-c", script
        ).out.split()
        assert (words, score, namespace) == ("init", "0", os.readlink(f"/proc/{daemon.pid}/ns/cgroup"))
        box = daemon.sdk.containers.get("box")
        assert any(f"{daemon.cgroup_parent}/{box.id}" in group for group in groups)
        assert box.attrs["HostConfig"]["CgroupnsMode"] == "host"
        plain = ("run", "--rm", "--init=false", "--cgroupns=private", "busybox", "readlink", "/proc/self/ns/cgroup")
        assert daemon.docker(*plain).out.strip() not in ("init", namespace)
    finally:
        daemon.close()


def test_a_quit_signal_writes_where_everything_stands(configured: tuple[Daemon, Path]) -> None:
    daemon, _ = configured
    assert daemon.pid is not None
    os.kill(daemon.pid, signal.SIGQUIT)
    written = eventually(lambda: list(daemon.exec_root.glob("stacks-*.log")))
    text = eventually(written[0].read_text, lambda text: "thread MainThread" in text)
    assert "Stack for <Task" in text
    assert daemon.docker("version").code == 0


def test_dockers_names(tmp_path: Path) -> None:
    """What starts dockerd and docker by their names starts this engine and this command line."""
    (tmp_path / "dockerd").write_text("somebody else's")
    install = [BIN / "cove", "install-docker-names", "--directory", tmp_path]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 1 and f"{tmp_path}/dockerd: there is another program of that name" in done.stderr
    assert not (tmp_path / "docker").exists(), "nothing was changed"
    subprocess.run([*install, "--force"], check=True)
    shown = subprocess.run([tmp_path / "dockerd", "--help"], capture_output=True, text=True).stdout
    assert shown.startswith("Usage:  dockerd [OPTIONS]")
    config = tmp_path / "daemon.json"
    config.write_text(json.dumps({"live-restore": True, "userland-proxy": False, "log-driver": "json-file"}))
    command = [tmp_path / "dockerd", "--validate", "--config-file", config, "--iptables=false"]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "configuration OK\n"
    unreachable = subprocess.run(
        [tmp_path / "docker", "version"], capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
    )
    assert "unix:///var/run/docker.sock" in unreachable.stderr
    subprocess.run([*install, "--remove"], check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["daemon.json"]


def test_a_daemon_by_the_name_of_dockers(tmp_path: Path) -> None:
    """With what units and test harnesses give to that, and served by the stock command line."""
    subprocess.run([BIN / "cove", "install-docker-names", "--directory", tmp_path], check=True)
    config = tmp_path / "daemon.json"
    config.write_text(json.dumps({"labels": ["a=b"], "log-driver": "local", "log-opts": {"max-size": "1m"}}))
    given = (
        f"--config-file={config} --debug --log-level debug --group root --live-restore --userland-proxy=false "
        "--containerd /run/containerd/containerd.sock --exec-opt native.cgroupdriver=cgroupfs "
        "--storage-driver overlay2 --iptables=true --ip6tables=true --bip 172.29.0.1/16 "
        "--default-address-pool base=10.213.0.0/16,size=24 --shutdown-timeout 5 "
        "--max-concurrent-downloads 2 --dns 192.0.2.1 --mtu 1400"
    )
    daemon = Daemon(f"cove-test-{os.getpid()}-dockerd", *given.split())
    own = daemon.argv
    daemon.argv = lambda: [str(tmp_path / "dockerd"), *own()[1:]]  # type: ignore[method-assign]
    try:
        daemon.start()
        daemon.load_base_image()
        assert Path(f"/proc/{daemon.pid}/cmdline").read_bytes().split(b"\0")[1] == str(tmp_path / "dockerd").encode()
        info = daemon.http("GET", "/info").json()
        assert (info["Labels"], info["LoggingDriver"], info["Driver"]) == (["a=b"], "local", "overlay2")
        script = "cat /etc/resolv.conf; ip -4 -o addr show eth0; cat /sys/class/net/eth0/mtu"
        seen = daemon.docker("run", "--rm", "busybox", "sh", "-c", script).out
        assert "nameserver 192.0.2.1" in seen and "inet 172.29." in seen and seen.endswith("\n1400\n")
        daemon.docker("network", "create", "mine")
        assert "10.213.0.0/24" in daemon.docker("network", "inspect", "-f", "{{json .IPAM.Config}}", "mine").out
    finally:
        daemon.close()


def test_the_oldest_api_version_by_environment() -> None:
    daemon = Daemon(f"cove-test-{os.getpid()}-oldest")
    daemon.environment["DOCKER_MIN_API_VERSION"] = "1.44"
    try:
        daemon.start()
        version = daemon.http("GET", "/version").json()
        assert version["MinAPIVersion"] == version["Components"][0]["Details"]["MinAPIVersion"] == "1.44"
        refused = daemon.http("GET", "/v1.43/info")
        assert refused.status == 400
        assert "client version 1.43 is too old. Minimum supported API version is 1.44" in refused.json()["message"]
        assert daemon.http("GET", "/v1.44/info").status == 200
    finally:
        daemon.close()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("1.2", "minimum supported API version is 1.24: 1.2"),
        ("9.9", "maximum supported API version is 1.56: 9.9"),
        ("v1.44", 'API version must be provided without "v" prefix: v1.44'),
        ("x", "it is not MAJOR.MINOR: x"),
    ],
)
def test_an_oldest_api_version_that_cannot_be(monkeypatch: pytest.MonkeyPatch, value: str, words: str) -> None:
    monkeypatch.setenv("DOCKER_MIN_API_VERSION", value)
    assert f"invalid DOCKER_MIN_API_VERSION: {words}" in refused("--validate")


def test_info_warns_of_an_api_that_anyone_may_use(fresh_daemon: Daemon) -> None:
    """In Docker's words."""
    before = fresh_daemon.flags
    assert "API is accessible" not in fresh_daemon.docker("info").err
    fresh_daemon.restart_with("--host=tcp://127.0.0.1:2375", "--allow-unauthenticated-tcp")
    assert "WARNING: API is accessible on http://127.0.0.1:2375 without encryption." in fresh_daemon.docker("info").err
    fresh_daemon.stop()
    fresh_daemon.flags = before
    fresh_daemon.start()


def test_a_daemon_without_a_default_network(fresh_daemon: Daemon) -> None:
    """``--bridge=none``: no such network, no bridge; who asks for none by name has a loopback, as with Docker."""
    flags = fresh_daemon.flags
    fresh_daemon.docker("create", "--name", "earlier", "busybox", "ls", "/sys/class/net")
    assert "cove0" in fresh_daemon.netns.run(["ip", "-br", "link"]).stdout
    fresh_daemon.restart_with("--bridge=none")
    links = fresh_daemon.netns.run(["ip", "-br", "link"]).stdout
    assert "cove0" not in links and "none" not in links
    assert fresh_daemon.docker("network", "ls", "--format", "{{.Name}}").out.split() == ["host", "none"]
    assert fresh_daemon.docker("start", "-a", "earlier").out == "lo\n"
    for words in ((), ("--net", "bridge"), ("-p", "18080:80"), ("--add-host", "x:1.2.3.4")):
        assert fresh_daemon.docker("run", "--rm", *words, "busybox", "ls", "/sys/class/net").out == "lo\n"
    assert fresh_daemon.docker("inspect", "-f", "{{.Config.NetworkDisabled}}", "earlier").out == "true\n"
    fresh_daemon.docker("network", "create", "mine")
    assert "eth0" in fresh_daemon.docker("run", "--rm", "--net", "mine", "busybox", "ls", "/sys/class/net").out
    fresh_daemon.docker("network", "rm", "mine")
    assert fresh_daemon.docker("build", "-q", "-", input="FROM busybox\nRUN ls /sys/class/net\n").code == 0
    fresh_daemon.flags = flags
    fresh_daemon.restart()
    assert "eth0" in fresh_daemon.docker("run", "--rm", "busybox", "ls", "/sys/class/net").out
