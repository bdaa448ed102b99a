"""Flags of ``cove-oci`` one by one, each by what it changes."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.kernel import cgroups
from cove.kernel.cgroups import Cgroup
from harness import containers, oci
from harness.oci import PROGRAM, Bundle
from harness.waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.needs("overlay", "cgroup-memory", "cgroup-pids")]

PARENT = f"/cove-test-flags-{os.getpid()}"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Bundle]:
    made = Bundle(tmp_path / "box", containers.busybox_root(tmp_path / "root"), PARENT)
    yield made
    made.remove()
    oci.remove_cgroups(PARENT)


def group(box: Bundle) -> Cgroup:
    return Cgroup(cgroups.layout(), f"{PARENT}/{box.id}")


def test_an_exec_with_groups_capabilities_and_no_new_privileges(box: Bundle) -> None:
    box.begin("sleep 100")
    script = "id -G; grep -E 'CapBnd|NoNewPrivs' /proc/self/status"
    plain = box.call("exec", box.id, "sh", "-c", script).out.split()
    flags = ("-g", "77", "--additional-gids", "78", "--cap", "CAP_NET_RAW", "--no-new-privs")
    asked = box.call("exec", *flags, box.id, "sh", "-c", script).out.split()
    assert (plain[0], plain[-1]) == ("0", "0")
    assert (asked[:3], asked[-1]) == (["0", "77", "78"], "1")
    before, after = (int(words[words.index("CapBnd:") + 1], 16) for words in (plain, asked))
    assert after == before | 1 << 13 != before


def test_an_exec_in_a_paused_container_is_refused_or_waits(box: Bundle) -> None:
    box.begin("sleep 100")
    box.call("pause", box.id)
    refused = box.call("exec", box.id, "true", check=False)
    assert refused.code == 255 and "--ignore-paused" in refused.err
    argv = [str(PROGRAM), "--root", str(box.state), "exec", "--ignore-paused", box.id, "sh", "-c", "exit 7"]
    with subprocess.Popen(argv) as waiting:
        eventually(lambda: len(group(box).pids()) > 1)
        assert waiting.poll() is None
        box.call("resume", box.id)
        assert waiting.wait(30) == 7


def test_a_run_that_keeps_its_container(box: Bundle) -> None:
    box.run("exit 0")
    assert box.call("state", box.id, check=False).code == 1
    box.run("exit 0", "--keep", "--no-subreaper")
    assert box.status() == "stopped"
    box.call("delete", box.id)
    assert box.call("state", box.id, check=False).code == 1


@pytest.mark.needs("cgroup-v1")
@pytest.mark.parametrize(
    ("flags", "controller", "expected"),
    [
        (("--cpu-period", "50000", "--cpu-quota", "20000"), "cpu", {"cfs_period_us": "50000", "cfs_quota_us": "20000"}),
        (("--cpu-share", "512"), "cpu", {"shares": "512"}),
        (("--cpuset-cpus", "0", "--cpuset-mems", "0"), "cpuset", {"cpus": "0", "mems": "0"}),
        (("--memory-reservation", "32m"), "memory", {"soft_limit_in_bytes": str(32 << 20)}),
        (("--memory", "64m", "--kernel-memory", "1m"), "memory", {"limit_in_bytes": str(64 << 20)}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_an_update_of_each_limit(
    box: Bundle, flags: tuple[str, ...], controller: str, expected: dict[str, str]
) -> None:
    box.begin("sleep 100")
    before = {name: group(box).read(controller, f"{controller}.{name}") for name in expected}
    box.call("update", *flags, box.id)
    assert {name: group(box).read(controller, f"{controller}.{name}") for name in expected} == expected
    assert controller == "cpuset" or before != expected


@pytest.mark.parametrize("flag", ["--l3-cache-schema", "--mem-bw-schema"])
def test_what_an_update_cannot_do_is_refused_by_its_name(box: Bundle, flag: str) -> None:
    box.begin("sleep 100")
    done = box.call("update", flag, "L3:0=f", box.id, check=False)
    assert done.code == 1 and "Intel RDT" in done.err


def test_an_update_from_a_file(box: Bundle, tmp_path: Path) -> None:
    box.begin("sleep 100")
    (tmp_path / "limits.json").write_text(json.dumps({"pids": {"limit": 23}}))
    box.call("update", "--resources", str(tmp_path / "limits.json"), box.id)
    assert group(box).read("pids", "pids.max") == "23"


def test_events_come_again_after_an_interval(box: Bundle) -> None:
    box.begin("sleep 100")
    argv = [str(PROGRAM), "--root", str(box.state), "events", "--interval", "50ms", box.id]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout is not None
        told = [json.loads(events.stdout.readline())["type"] for _ in range(3)]
        events.kill()
    assert told == ["stats"] * 3


def test_a_template_for_a_rootless_container_has_a_user_namespace(tmp_path: Path) -> None:
    argv = [str(PROGRAM), "spec", "--rootless", "--bundle", str(tmp_path)]
    subprocess.run(argv, check=True, timeout=60)
    linux = json.loads((tmp_path / "config.json").read_text())["linux"]
    assert "user" in {each["type"] for each in linux["namespaces"]}
    assert linux["uidMappings"][0]["size"] == linux["gidMappings"][0]["size"] == 1


def test_flags_that_change_nothing_are_taken(box: Bundle) -> None:
    box.begin("sleep 100")
    flags = ("--criu", "/nowhere", "--rootless", "auto", "--debug", "--log-format", "text")
    assert box.call(*flags, "list", "--quiet").out == f"{box.id}\n"


def test_a_socket_gets_a_pidfd_of_the_process(box: Bundle, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "pidfd"))
        listener.listen()
        box.begin("sleep 100", "--pidfd-socket", str(tmp_path / "pidfd"))
        assert pid_of_received(listener) == box.pid()
        flags = ("--detach", "--pidfd-socket", str(tmp_path / "pidfd"), "--pid-file", str(tmp_path / "pid"))
        box.call("exec", *flags, box.id, "sh", "-c", "exec sleep 100 >/dev/null 2>&1")
        assert pid_of_received(listener) == int((tmp_path / "pid").read_text())


def pid_of_received(listener: socket.socket) -> int:
    """Whose pidfd it is that somebody sends."""
    connection, _ = listener.accept()
    with connection:
        _name, (descriptor,), _flags, _address = socket.recv_fds(connection, 100, 1)
    with os.fdopen(descriptor):
        fields = dict(line.split(":", 1) for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines())
    return int(fields["Pid"])


@pytest.mark.needs("host-python")
def test_a_run_in_the_session_keyring_of_its_caller(box: Bundle) -> None:
    for destination, source in (("/usr", "/usr"), ("/lib", "/usr/lib"), ("/lib64", "/usr/lib64")):
        box.mount(destination, "bind", source, "rbind", "ro")
    script = "/usr/bin/python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))'"
    own = {int(box.run(script).out) for _ in range(2)}
    callers = {int(box.run(script, "--no-new-keyring").out) for _ in range(2)}
    assert (len(own), len(callers)) == (2, 1) and not own & callers


@pytest.mark.needs("cgroup-v1")
def test_an_exec_in_a_group_below_the_container_s(box: Bundle) -> None:
    box.begin("sleep 100")
    below = Cgroup(cgroups.layout(), f"{PARENT}/{box.id}/below")
    below.create()
    shown = box.call("exec", "--cgroup", "below", box.id, "cat", "/proc/self/cgroup").out.splitlines()
    assert {line.split(":")[2] for line in shown if line.split(":")[1]} == {"/below"}
    for word, words in (("none", "no such control group"), ("../x", "not below"), ("pids:below", "not supported")):
        done = box.call("exec", "--cgroup", word, box.id, "true", check=False)
        assert done.code == 255 and words in done.err
