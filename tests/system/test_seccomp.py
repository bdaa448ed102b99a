"""System call filters as a program in the container meets them: the default, profiles of users, the daemon's own."""

import errno
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from cove.seccomp.abi import ABIS, numbers
from harness import probes
from harness.daemon import Daemon
from harness.engine import Engine
from harness.needs import TESTING_THE_TESTS
from harness.seccomp_listener import Listener

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static", "host-python")

CALLS = numbers(ABIS["SCMP_ARCH_X86_64"])
NEWUSER, NEWNET = 0x10000000, 0x40000000


def call(name: str, *arguments: int) -> list[int]:
    return [CALLS[name], *arguments]


def status(engine: Engine, *flags: str) -> dict[str, str]:
    out = engine.docker("run", "--rm", *flags, "busybox", "cat", "/proc/self/status").out
    return dict(line.split(":\t", 1) for line in out.splitlines() if ":\t" in line)


def test_every_container_is_filtered_unless_it_asks_not_to_be(daemon: Engine) -> None:
    assert status(daemon)["Seccomp"] == "2"
    assert status(daemon, "--security-opt", "seccomp=unconfined")["Seccomp"] == "0"
    assert status(daemon, "--security-opt", "no-new-privileges")["Seccomp"] == "2"
    assert status(daemon, "--user", "1000:1000", "--cap-drop", "ALL")["Seccomp"] == "2"


@pytest.mark.needs("cove")  # Docker's cannot take more capabilities than this machine's own bounding set has
def test_privileged_containers_are_not_filtered(daemon: Engine, tmp_path: Path) -> None:
    assert status(daemon, "--privileged")["Seccomp"] == "0"
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}
    assert status(daemon, "--privileged", probes.profile(tmp_path, profile))["Seccomp"] == "2"
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "300")
    assert "Seccomp:\t2" in daemon.docker("exec", "--privileged", "box", "cat", "/proc/self/status").out


def test_nothing_that_loading_the_filter_needed_is_left(daemon: Engine) -> None:
    found = status(daemon, "--user", "1000", "--cap-drop", "ALL")
    assert {found[f"Cap{kind}"].strip("0") for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {""}
    assert int(status(daemon)["CapPrm"], 16) == 0xA80425FB


def test_what_the_default_refuses(daemon: Engine) -> None:
    refused = [
        call("unshare", NEWUSER),
        call("clone", NEWUSER | signal.SIGCHLD),
        call("keyctl", 0, -1),
        call("add_key", 0, 0, 0, 0, 0),
        call("mount", 0, 0, 0, 0, 0),
        call("bpf", 0, 0, 0),
        call("init_module", 0, 0, 0),
        call("kexec_load", 0, 0, 0, 0),
        call("open_by_handle_at", -1, 0, 0),
        call("perf_event_open", 0, 0, 0, 0, 0),
        call("personality", 0x0040000),
        call("reboot", 0),
        call("settimeofday", 0, 0),
        call("userfaultfd", 0),
        call("setns", -1, 0),
        call("swapon", 0, 0),
    ]
    assert probes.calls(daemon, refused) == [errno.EPERM] * len(refused)


@pytest.mark.needs("cove")
def test_what_docker_has_come_to_refuse(daemon: Engine) -> None:
    refused = [call("socket", family, 5, 0) for family in (40, 38, 37, 23, (1 << 32) | 38)]
    refused.append(call("io_uring_setup", 1, 0))
    assert probes.calls(daemon, refused) == [errno.EPERM] * 6
    assert probes.calls(daemon, [call("clone3", 0, 0), [600], [CALLS["removexattrat"] + 1]]) == [errno.ENOSYS] * 3


def test_what_the_default_allows(daemon: Engine) -> None:
    allowed = [call("personality", word) for word in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)]
    allowed += [call("socket", 1, 1, 0), call("socket", 2, 1, 0), call("socket", 16, 3, 0)]
    allowed += [call("chroot", 0), call("ptrace", 0, 0, 0, 0)]
    found = probes.calls(daemon, allowed)
    assert found == [0] * 8 + [errno.EFAULT, 0]


def test_capabilities_open_what_they_are_for(daemon: Engine) -> None:
    wanted = [call("unshare", NEWNET), call("mount", 0, 0, 0, 0, 0), call("chroot", 0), call("bpf", 99, 0, 0)]
    assert probes.calls(daemon, wanted, "--cap-add", "SYS_ADMIN") == [0, errno.EFAULT, errno.EFAULT, errno.EINVAL]
    assert probes.calls(daemon, wanted, "--cap-drop", "SYS_CHROOT") == [errno.EPERM] * 4


def test_an_exec_has_the_containers_filter(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", *probes.BINDS, "busybox", "sleep", "300")
    for flags in ((), ("--user", "1")):
        assert "Seccomp:\t2" in daemon.docker("exec", *flags, "box", "cat", "/proc/self/status").out
    daemon.docker("exec", "box", "true")


def test_the_inits_of_a_container_are_filtered_too(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--init", "--name", "box", "busybox", "sleep", "300")
    assert "Seccomp:\t2" in daemon.docker("exec", "box", "cat", "/proc/1/status").out


def test_a_profile_of_the_users(daemon: Engine, tmp_path: Path) -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
            {"names": ["sync"], "action": "SCMP_ACT_KILL_PROCESS"},
            {"names": ["syncfs"], "action": "SCMP_ACT_TRAP"},
            {
                "names": ["dup2"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 99,
                "args": [{"index": 1, "value": 200, "op": "SCMP_CMP_GT"}],
            },
        ],
    }
    wanted = [
        call("mkdir", 0, 0),
        call("sync"),
        call("syncfs", 0),
        call("dup2", 1, 201),
        call("dup2", 1, 200),
        call("unshare", NEWNET),
    ]
    found = probes.calls(daemon, wanted, probes.profile(tmp_path, profile))
    assert found == [28, -signal.SIGSYS, -signal.SIGSYS, 99, 0, errno.EPERM]


def test_conditions_of_a_profile(daemon: Engine, tmp_path: Path) -> None:
    def refused(name: str, **conditions: Any) -> dict[str, Any]:
        return {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, **conditions}

    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            refused("getuid", includes={"caps": ["CAP_SYS_TIME"]}),
            refused("getgid", excludes={"caps": ["CAP_SYS_TIME"]}),
            refused("geteuid", includes={"minKernel": "99.1"}),
            refused("getegid", includes={"arches": ["amd64"]}),
        ],
    }
    wanted = [call(name) for name in ("getuid", "getgid", "geteuid", "getegid")]
    option = probes.profile(tmp_path, profile)
    assert probes.calls(daemon, wanted, option, "--user", "0") == [0, 77, 0, 77]
    assert probes.calls(daemon, wanted, option, "--cap-add", "SYS_TIME") == [77, 0, 0, 77]


def test_builtin_is_the_default(daemon: Engine) -> None:
    flags = () if TESTING_THE_TESTS else ("--security-opt", "seccomp=builtin")
    assert probes.calls(daemon, [call("unshare", NEWUSER)], *flags) == [errno.EPERM]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"defaultAction": 3}', "Decoding seccomp profile failed"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["A"], "archMap": [{"architecture": "B"}]}', "archMap"),
        (
            '{"defaultAction": "SCMP_ACT_LOG", "syscalls": [{"names": ["a"], "name": "b", "action": "SCMP_ACT_LOG"}]}',
            "use either 'name' or 'names'",
        ),
    ],
)
def test_a_profile_that_is_none(daemon: Engine, tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(content)
    done = daemon.docker("run", "--rm", "--security-opt", f"seccomp={file}", "busybox", "true", check=False)
    assert done.code != 0 and words in done.err


@pytest.mark.needs("cove")
def test_a_profile_that_is_none_makes_no_container(daemon: Engine, tmp_path: Path) -> None:
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"SecurityOpt": ['seccomp={"defaultAction": "NO"}']}}
    answer = daemon.http("POST", "/containers/create?name=none", body)
    assert answer.status == 400 and "string NO is not a valid action for seccomp" in answer.body.decode()
    assert daemon.docker("ps", "-aq").out == ""


def test_a_program_that_may_not_even_begin(daemon: Engine, tmp_path: Path) -> None:
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["execve"], "action": "SCMP_ACT_ERRNO"}]}
    done = daemon.docker("run", "--rm", probes.profile(tmp_path, profile), "busybox", "true", check=False)
    assert done.code in ({1} if TESTING_THE_TESTS else {125}) and "operation not permitted" in done.err


@pytest.mark.needs("cove")
def test_a_listener_decides_about_calls(daemon: Engine, tmp_path: Path) -> None:
    path = str(tmp_path / "listener.sock")
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        "listenerMetadata": "whoever reads this",
        "syscalls": [{"names": ["rmdir"], "action": "SCMP_ACT_NOTIFY"}],
    }
    with Listener(Path(path)) as listener:
        option = probes.profile(tmp_path, profile)
        with daemon.spawned(
            "docker", "run", "--rm", "--name", "asks", option, "busybox", "rmdir", "/nonesuch"
        ) as client:
            state = listener.answer(errno.EXDEV)
            _, errors = client.communicate(timeout=20)
    assert (state["fds"], state["metadata"]) == (["seccompFd"], "whoever reads this")
    assert state["state"]["status"] == "creating" and len(state["state"]["id"]) == 64
    assert state["pid"] == state["state"]["pid"] > 0
    assert b"cross-device" in errors.lower()


@pytest.mark.needs("cove")
def test_a_listener_that_is_not_there(daemon: Engine, tmp_path: Path) -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": str(tmp_path / "nobody.sock"),
        "syscalls": [{"names": ["rmdir"], "action": "SCMP_ACT_NOTIFY"}],
    }
    done = daemon.docker("run", "--rm", probes.profile(tmp_path, profile), "busybox", "true", check=False)
    assert done.code == 125 and "cannot send the seccomp descriptor" in done.err and "nobody.sock" in done.err


def test_information_names_the_profile(daemon: Engine) -> None:
    words = daemon.docker("info", "--format", "{{.SecurityOptions}}").out
    assert ("name=seccomp,profile=default" if TESTING_THE_TESTS else "name=seccomp,profile=builtin") in words


@pytest.mark.needs("cove")
def test_the_daemons_own_profile(fresh_daemon: Daemon, tmp_path: Path) -> None:
    refused = {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
    profile = tmp_path / "daemon.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}))
    fresh_daemon.stop()
    fresh_daemon.flags = ("--seccomp-profile", str(profile))
    fresh_daemon.start()
    wanted = [call("mkdir", 0, 0)]
    assert probes.calls(fresh_daemon, wanted) == [28]
    assert probes.calls(fresh_daemon, wanted, "--security-opt", "seccomp=builtin") == [errno.EFAULT]
    assert probes.calls(fresh_daemon, wanted, "--privileged") == [errno.EFAULT]
    assert f"name=seccomp,profile={profile}" in fresh_daemon.docker("info", "--format", "{{.SecurityOptions}}").out
