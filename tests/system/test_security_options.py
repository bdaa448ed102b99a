"""Who a program is and what it may do, as it sees that itself: options, capabilities, users, read-only roots."""

import re

import pytest

from harness import probes
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static")

DEFAULT = 0xA80425FB
NET_RAW, CHOWN, SYS_TIME, SYS_CHROOT = 1 << 13, 1 << 0, 1 << 25, 1 << 18


def run(engine: Engine, script: str, *flags: str) -> str:
    return engine.docker("run", "--rm", "--net", "none", *flags, "busybox", "sh", "-c", script).out


def refused(engine: Engine, *flags: str) -> str:
    done = engine.docker("run", "--rm", "--net", "none", *flags, "busybox", "true", check=False)
    assert done.code == 125, done
    return done.err


def capabilities(engine: Engine, *flags: str) -> dict[str, int]:
    out = run(engine, "grep ^Cap /proc/self/status", *flags)
    return {name: int(value, 16) for name, value in re.findall(r"Cap(\w+):\s+(\w+)", out)}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), DEFAULT),
        (("--cap-add", "sys_time"), DEFAULT | SYS_TIME),
        (("--cap-add", "CAP_SYS_TIME", "--cap-drop", "Cap_Net_Raw"), (DEFAULT | SYS_TIME) & ~NET_RAW),
        (("--cap-drop", "ALL"), 0),
        (("--cap-drop", "all", "--cap-add", "chown"), CHOWN),
        (("--cap-add", "chown", "--cap-drop", "chown"), DEFAULT & ~CHOWN),
    ],
)
def test_capabilities(daemon: Engine, flags: tuple[str, ...], expected: int) -> None:
    found = capabilities(daemon, *flags)
    assert {found[kind] for kind in ("Prm", "Eff", "Bnd")} == {expected}
    assert found["Inh"] == found["Amb"] == 0


@pytest.mark.needs("cove")  # Docker's asks for all, which this machine's own bounding set lacks
def test_all_capabilities(daemon: Engine) -> None:
    everything = capabilities(daemon, "--cap-add", "ALL")["Eff"]
    assert everything & (SYS_TIME | DEFAULT) == SYS_TIME | DEFAULT
    assert capabilities(daemon, "--privileged")["Eff"] == everything
    assert capabilities(daemon, "--cap-add", "all", "--cap-drop", "NET_RAW")["Bnd"] == everything & ~NET_RAW


def test_another_user_has_no_capabilities_but_may_gain_them_back(daemon: Engine) -> None:
    found = capabilities(daemon, "--user", "1000")
    assert (found["Eff"], found["Prm"], found["Bnd"]) == (0, 0, DEFAULT)


def test_what_no_capability_is(daemon: Engine) -> None:
    assert 'invalid CapAdd: unknown capability: "CAP_BOGUS"' in refused(daemon, "--cap-add", "bogus")
    assert 'invalid CapDrop: unknown capability: "CAP_BOGUS"' in refused(daemon, "--cap-drop", "CAP_bogus")


@pytest.mark.parametrize("option", ["no-new-privileges", "no-new-privileges=true", "no-new-privileges:true"])
def test_no_new_privileges(daemon: Engine, option: str) -> None:
    assert "NoNewPrivs:\t1" in run(daemon, "cat /proc/self/status", "--security-opt", option)


def test_new_privileges_by_default(daemon: Engine) -> None:
    assert "NoNewPrivs:\t0" in run(daemon, "cat /proc/self/status")
    assert "NoNewPrivs:\t0" in run(daemon, "cat /proc/self/status", "--security-opt", "no-new-privileges=false")


@pytest.mark.needs("host-python")  # and with it a set of programs that are no busybox, which drops what it gains
def test_a_set_user_id_program_gains_nothing_with_no_new_privileges(daemon: Engine) -> None:
    script = "cp /usr/bin/id /tmp/id && chmod 4755 /tmp/id && busybox su -s /bin/sh nobody -c '/tmp/id -u'"
    assert run(daemon, script, *probes.BINDS) == "0\n"
    assert run(daemon, script, *probes.BINDS, "--security-opt", "no-new-privileges") == "65534\n"


def test_an_exec_is_held_to_no_new_privileges_too(daemon: Engine) -> None:
    option = ("--security-opt", "no-new-privileges")
    daemon.docker("run", "-d", "--net", "none", "--name", "box", *option, "busybox", "sleep", "300")
    assert "NoNewPrivs:\t1" in daemon.docker("exec", "box", "cat", "/proc/self/status").out


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("foo=bar", 'invalid --security-opt 2: "foo=bar"'),
        ("no-new-privileges=maybe", 'invalid --security-opt 2: "no-new-privileges=maybe"'),
        ("seccomp=/nope", "opening seccomp profile (/nope) failed: open /nope: no such file or directory"),
    ],
)
def test_options_that_are_none(daemon: Engine, option: str, words: str) -> None:
    assert words in refused(daemon, "--security-opt", option)


@pytest.mark.needs("cove")
def test_an_option_without_a_value(daemon: Engine) -> None:
    body = {"Image": "busybox", "Cmd": ["x"], "HostConfig": {"SecurityOpt": ["bogus"]}}
    answer = daemon.http("POST", "/containers/create", body)
    assert (answer.status, answer.json()) == (400, {"message": 'invalid --security-opt 1: "bogus"'})


@pytest.mark.parametrize("option", ["apparmor=unconfined", "label=disable", "label=type:container_t", "label=level:s0"])
def test_labels_of_a_kernel_without_them(daemon: Engine, option: str) -> None:
    assert run(daemon, "echo fine", "--security-opt", option) == "fine\n"


def test_system_paths(daemon: Engine) -> None:
    script = "head -c1 /proc/interrupts | wc -c; grep -c ' /proc/.* ro,' /proc/mounts; true"
    assert run(daemon, script).split()[0] == "0" != run(daemon, script).split()[1]
    assert run(daemon, script, "--security-opt", "systempaths=unconfined").split() == ["1", "0"]


@pytest.mark.needs("cove")  # Docker's 20.10 knows no such option
@pytest.mark.parametrize(("option", "writable"), [("false", False), ("true", True), (None, False)])
def test_writable_control_groups(daemon: Engine, option: str | None, writable: bool) -> None:
    flags = () if option is None else ("--security-opt", f"writable-cgroups={option}")
    script = "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do"
    script += " mkdir $d/inner 2>/dev/null && echo $d && rmdir $d/inner; done; true"
    assert bool(run(daemon, script, *flags)) == writable
    assert "invalid --security-opt 2" in refused(daemon, "--security-opt", "writable-cgroups=some")


def test_read_only(daemon: Engine) -> None:
    script = "touch /file 2>&1; touch /etc/file 2>&1; touch /dev/shm/file && touch /tmp/file && echo elsewhere"
    out = run(daemon, script, "--read-only", "--tmpfs", "/tmp")
    assert out.count("Read-only file system") == 2 and out.endswith("elsewhere\n")


def test_groups(daemon: Engine) -> None:
    assert run(daemon, "id", "--group-add", "5", "--group-add", "nogroup") == (
        "uid=0(root) gid=0(root) groups=0(root),5,65534(nogroup)\n"
    )
    assert "Unable to find group bogus: no matching entries in group file" in refused(daemon, "--group-add", "bogus")


@pytest.mark.parametrize(
    ("user", "identity"),
    [
        ("nobody", "65534 65534"),
        ("1", "1 1"),
        ("4242", "4242 0"),
        ("daemon:nogroup", "1 65534"),
        ("1:7", "1 7"),
        ("0:0", "0 0"),
    ],
)
def test_users(daemon: Engine, user: str, identity: str) -> None:
    assert run(daemon, "echo $(id -u) $(id -g)", "--user", user) == f"{identity}\n"


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("bogus", "unable to find user bogus: no matching entries in passwd file"),
        ("1:bogus", "unable to find group bogus: no matching entries in group file"),
        ("4294967296", "uids and gids must be in range 0-2147483647"),
        ("-1", "uids and gids must be in range 0-2147483647"),
    ],
)
def test_users_that_are_none(daemon: Engine, user: str, words: str) -> None:
    assert words in refused(daemon, f"--user={user}")


@pytest.mark.needs("cove")
def test_privileged(daemon: Engine) -> None:
    script = "mkdir -p /mnt && mount -t tmpfs none /mnt && echo mounted; cat /proc/mounts"
    mounted, _, table = run(daemon, script, "--privileged").partition("\n")
    assert mounted == "mounted"
    places = dict(line.split()[1:4:2] for line in table.splitlines())
    assert places["/sys"].startswith("rw") and not {"/proc/sys", "/proc/kcore", "/sys/firmware"} & set(places)
