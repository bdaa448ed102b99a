"""The first process of a container, for real: what the program sees, and what attacks from an image come to."""

import importlib
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.kernel import overlay
from cove.runtime import seal
from harness import containers
from harness.containers import Container

pytestmark = [pytest.mark.root, pytest.mark.needs("overlay", "mqueue")]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield containers.busybox_root(tmp_path_factory.mktemp("base") / "root")
    containers.remove_parent()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A layer above the base, for what an image brings."""
    (tmp_path / "image").mkdir()
    return tmp_path / "image"


@pytest.fixture
def container(tmp_path: Path, image: Path, base: Path) -> Container:
    return Container(tmp_path / "container", image, base)


def mount_of(container: Container, destination: str) -> dict[str, object]:
    (found,) = [mount for mount in container.spec["mounts"] if mount["destination"] == destination]
    return found  # type: ignore[return-value]


@pytest.mark.cgroup2
def test_the_program_runs_and_its_code_comes_back(container: Container) -> None:
    assert container.run("sh", "-c", "echo hello; exit 7")[:3] == (7, "hello\n", None)


def test_what_it_sees_of_itself(container: Container) -> None:
    script = "id; hostname; echo $$; umask; pwd; echo $HOME"
    assert (
        container.run("sh", "-c", script).output.splitlines()
        == [
            "uid=0(root) gid=0(root) groups=0(root),10(wheel)",
            "box",
            "1",
            "0022",
            "/",
            "/root",
        ]
        or container.run("sh", "-c", script, user={"username": "root"}).output
    )


def test_capabilities_and_signals_are_dockers(container: Container) -> None:
    fields = dict(
        line.split(":\t", 1) for line in container.run("cat", "/proc/self/status").output.splitlines() if ":\t" in line
    )
    assert [fields[name] for name in ("CapPrm", "CapEff", "CapBnd")] == ["00000000a80425fb"] * 3
    assert [fields[name] for name in ("CapInh", "CapAmb", "SigBlk", "SigIgn")] == ["0" * 16] * 4
    assert fields["NoNewPrivs"] == "0"


def test_no_descriptor_leaks(container: Container) -> None:
    secret = os.open("/etc/shadow", os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        output = container.run("sh", "-c", "ls /proc/self/fd; ls -l /proc/1/fd | grep -c shadow").output
    finally:
        os.close(secret)
    assert output.split() == ["0", "1", "2", "3", "0"]  # 3 is the directory that ls reads


@pytest.mark.cgroup2
def test_mounts_hide_the_host(container: Container) -> None:
    lines = container.run("cat", "/proc/self/mountinfo").output.splitlines()
    points = [line.split()[4] for line in lines]
    assert points[:6] == ["/", "/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup"]
    assert not [point for point in points if not point.startswith(("/proc", "/dev", "/sys")) and point != "/"]
    options = {line.split()[4]: line.split()[5] for line in lines}
    assert options["/proc"] == "rw,nosuid,nodev,noexec,relatime"
    assert options["/sys"] == "ro,nosuid,nodev,noexec,relatime"
    assert options["/dev"] == "rw,nosuid"
    assert options["/proc/sys"].startswith("ro,")


def test_kernel_paths_are_masked_and_read_only(container: Container) -> None:
    script = "wc -c < /proc/keys; ls /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/panic || echo refused"
    lines = container.run("sh", "-c", script).output.splitlines()
    assert [lines[0], lines[1], lines[-1]] == ["0", "0", "refused"]


@pytest.mark.cgroup2
def test_devices(container: Container) -> None:
    script = "cd /dev; ls; echo x > null; head -c 2 zero | od -An -tx1; readlink ptmx; readlink fd; mknod /m b 8 0"
    output = container.run("sh", "-c", script).output
    names = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
    assert output.split()[: len(names)] == names
    assert "00 00\npts/ptmx\n/proc/self/fd\n" in output
    assert "Operation not permitted" in output  # the control group allows no disk


@pytest.mark.cgroup2
def test_its_own_cgroup_is_all_it_sees(container: Container) -> None:
    assert container.run("sh", "-c", "cat /sys/fs/cgroup/pids/cgroup.procs || cat /sys/fs/cgroup/cgroup.procs").output
    output = container.run("sh", "-c", "ls /sys/fs/cgroup/*/ | grep -c box; cat /proc/self/cgroup").output
    assert containers.PARENT not in output


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
        (["/nosuch"], 127, 'exec: "/nosuch": stat /nosuch: no such file or directory'),
        (["./nosuch"], 127, 'exec: "./nosuch": stat ./nosuch: no such file or directory'),
        ([""], 127, 'exec: "": executable file not found in $PATH'),
        (["/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'),
        (["/etc"], 126, 'exec: "/etc": is a directory'),
        (["/bin/orphan"], 127, "exec /bin/orphan: no such file or directory"),
    ],
)
def test_what_cannot_be_executed(container: Container, image: Path, args: list[str], code: int, message: str) -> None:
    (image / "bin").mkdir()
    (image / "bin" / "orphan").write_text("#!/no/interpreter\n")
    (image / "bin" / "orphan").chmod(0o755)
    outcome = container.run(*args)
    assert (outcome.code, outcome.failure) == (code, (code, message))


def test_what_is_no_program_says_so_as_one(container: Container, image: Path) -> None:
    (image / "bin").mkdir()
    (image / "bin" / "garbage").write_text("\0\1\2")
    (image / "bin" / "garbage").chmod(0o755)
    outcome = container.run("/bin/garbage")
    assert (outcome.code, outcome.failure) == (126, None)
    assert outcome.output == "exec /bin/garbage: exec format error\n"


@pytest.mark.parametrize(
    ("user", "seen"),
    [
        ({"username": "ann"}, "uid=1000(ann) gid=1001(ann) groups=44(music),1001(ann)"),
        ({"username": "1000"}, "uid=1000(ann) gid=1001(ann) groups=44(music),1001(ann)"),
        ({"username": "ann:music"}, "uid=1000(ann) gid=44(music) groups=44(music)"),
        ({"username": "4711"}, "uid=4711 gid=0(root) groups=0(root)"),
        ({"username": "4711:4712"}, "uid=4711 gid=4712 groups=4712"),
        (
            {"username": "ann:ann", "additionalGroups": ["wheel", "77"]},
            "uid=1000(ann) gid=1001(ann) groups=10(wheel),77,1001(ann)",
        ),
    ],
)
def test_users(container: Container, user: dict[str, object], seen: str) -> None:
    assert container.run("id", user=user).output.strip() == seen


def test_an_unprivileged_user_has_nothing_and_may_reopen_its_output(container: Container) -> None:
    script = "grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status; echo again > /dev/stdout; echo $HOME; echo > /f || echo no"
    lines = container.run("sh", "-c", script, user={"username": "ann"}).output.splitlines()
    assert [line.split()[1] for line in lines[:3]] == ["0" * 16, "0" * 16, "00000000a80425fb"]
    assert lines[3:5] == ["again", "/home/ann"]
    assert lines[-1] == "no"


def test_ambient_capabilities_and_no_new_privileges(container: Container) -> None:
    chosen = {name: ["CAP_NET_RAW"] for name in ("bounding", "effective", "permitted", "inheritable", "ambient")}
    output = container.run(
        "grep", "-E", "CapEff|CapAmb|NoNew", "/proc/self/status",
        user={"username": "ann"}, capabilities=chosen, noNewPrivileges=True,
    ).output  # fmt: skip
    assert output.split() == ["CapEff:", "0000000000002000", "CapAmb:", "0000000000002000", "NoNewPrivs:", "1"]


def test_an_unknown_user_is_refused_in_dockers_words(container: Container) -> None:
    outcome = container.run("id", user={"username": "bogus"})
    assert outcome.failure == (125, "unable to find user bogus: no matching entries in passwd file")


def test_the_accounts_of_a_hostile_image(container: Container, image: Path) -> None:
    (image / "etc").mkdir()
    os.mkfifo(image / "etc/passwd")
    (image / "etc/group").symlink_to("../../../../../../etc/group-of-the-host")
    assert container.run("grep", "Uid", "/proc/self/status", user={"username": "12"}).output.split() == [
        "Uid:",
        *["12"] * 4,
    ]
    assert container.run("id", user={"username": "ann"}).failure is not None


def test_accounts_are_never_the_hosts(container: Container, image: Path) -> None:
    (image / "etc").mkdir()
    (image / "etc/passwd").symlink_to("../../../../../../../../etc/passwd")
    assert container.run("id", user={"username": "www-data"}).failure is not None


@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("target", ["/tmp", "../../../../tmp", "/nowhere"])
def test_a_linked_proc_or_sys_is_refused(container: Container, image: Path, name: str, target: str) -> None:
    (image / name).symlink_to(target)
    failure = container.run("true").failure
    assert failure is not None
    assert f"/{name} must be an ordinary directory" in failure.message


def test_a_linked_dev_stays_inside(container: Container, image: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (image / "dev").symlink_to(f"../../../../../../..{outside}")
    container.run("ls", "/dev/null")
    assert list(outside.iterdir()) == []


def test_a_bind_through_a_link_stays_inside(container: Container, image: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (image / "data").symlink_to(f"/../../../../../../..{outside}")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/file").write_text("from the host\n")
    container.spec["mounts"].append(
        {"destination": "/data/a/b", "type": "bind", "source": str(tmp_path / "source"), "options": ["rbind", "ro"]}
    )
    outcome = container.run("sh", "-c", "cat /data/a/b/file; touch /data/a/b/x || echo refused")
    assert outcome.output.startswith("from the host\n")
    assert outcome.output.endswith("refused\n")
    assert list(outside.iterdir()) == []


def test_a_bind_of_a_file_makes_its_place(container: Container, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("10.0.0.1 me\n")
    container.spec["mounts"].append(
        {"destination": "/etc/new/hosts", "type": "bind", "source": str(tmp_path / "hosts"), "options": ["rbind"]}
    )
    assert container.run("cat", "/etc/new/hosts").output == "10.0.0.1 me\n"


def test_a_bind_below_proc_is_refused(container: Container, tmp_path: Path) -> None:
    (tmp_path / "fake").write_text("")
    container.spec["mounts"].append(
        {"destination": "/proc/uptime", "type": "bind", "source": str(tmp_path / "fake"), "options": ["bind"]}
    )
    failure = container.run("true").failure
    assert failure is not None
    assert "/proc/uptime cannot be mounted because it is inside /proc" in failure.message


def test_a_missing_source_is_named(container: Container) -> None:
    container.spec["mounts"].append({"destination": "/x", "type": "bind", "source": "/no/such", "options": ["bind"]})
    failure = container.run("true").failure
    assert failure is not None
    assert 'error mounting "/no/such" to rootfs at "/x"' in failure.message
    assert "No such file or directory" in failure.message


def test_mounts_do_not_reach_the_host(container: Container, tmp_path: Path) -> None:
    container.run("true")
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    assert list((tmp_path / "container/root").iterdir()) == []


def test_the_working_directory(container: Container, image: Path) -> None:
    assert container.run("pwd", cwd="/a/b/c").output == "/a/b/c\n"
    (image / "link").symlink_to("../../../../../../../usr")
    assert container.run("pwd", cwd="/link/x").output == "/usr/x\n"
    outcome = container.run("pwd", cwd="/bin/busybox")
    assert outcome.failure == (125, "Cannot mkdir: /bin/busybox is not a directory")


def test_a_read_only_root(container: Container) -> None:
    container.spec["root"]["readonly"] = True
    output = container.run("sh", "-c", "touch /x || echo refused; touch /dev/shm/x && echo written").output
    assert output.splitlines()[1:] == ["refused", "written"]


def test_sysctls_of_its_own_and_of_the_host(container: Container) -> None:
    linux = container.spec["linux"]
    linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "7", "kernel.msgmax": "1234"}
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax"
    assert container.run("sh", "-c", script).output.split() == ["7", "1234"]
    linux["sysctl"] = {"kernel.panic": "1"}
    failure = container.run("true").failure
    assert failure is not None
    assert "'kernel.panic' is not in a separate kernel namespace" in failure.message


@pytest.mark.needs("cgroup-v1")
def test_limits(container: Container) -> None:
    container.spec["linux"]["resources"]["pids"] = {"limit": 77}
    container.spec["linux"]["resources"]["memory"] = {"limit": 64 << 20, "swap": 64 << 20}
    groups = "/sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    script = f"cat {groups}; ulimit -n; cat /proc/self/oom_score_adj"
    limits = [{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 100}]
    assert container.run("sh", "-c", script, rlimits=limits, oomScoreAdj=123).output.split() == [
        "77",
        str(64 << 20),
        "99",
        "123",
    ]


def test_a_terminal(container: Container) -> None:
    script = "tty; stty size; cat /proc/sys/kernel/pty/nr; ls -l /dev/console; echo $(id -u)"
    size = {"height": 33, "width": 101}
    lines = container.run("sh", "-c", script, terminal=True, consoleSize=size).output.splitlines()
    assert lines[:3] == ["/dev/pts/0", "33 101", lines[2]]
    assert "136,   0" in lines[3]


def test_a_terminal_belongs_to_its_user(container: Container) -> None:
    output = container.run("stat", "-c", "%U", "/dev/pts/0", terminal=True, user={"username": "ann"}).output
    assert output.strip() == "ann"


def test_a_minimal_init(container: Container) -> None:
    container.start = container.start._replace(init=True)
    script = "echo $$; cat /proc/1/comm; cat /proc/1/environ 2>&1 | wc -c; (sleep 0.01 &); exit 9"
    outcome = container.run("sh", "-c", script)
    assert outcome.code == 9
    assert outcome.output.splitlines()[1] == "init"
    assert outcome.output.splitlines()[0] != "1"
    assert container.run("nosuch").failure == (127, 'exec: "nosuch": executable file not found in $PATH')


def test_a_minimal_init_passes_signals_on(container: Container) -> None:
    container.start = container.start._replace(init=True)
    script = "trap 'echo got; exit 3' TERM; kill -TERM 1; while :; do sleep 0.05; done"
    assert container.run("sh", "-c", script)[:2] == (3, "got\n")


def test_the_network_is_set_up(container: Container) -> None:
    container.start = container.start._replace(await_network=True)
    assert "LOOPBACK,UP" in container.run("ip", "link", "show", "lo").output
    container.interfaces = [{"name": "nosuch0", "addresses": [], "gateway4": None, "gateway6": None}]
    failure = container.run("true").failure
    assert failure is not None
    assert "nosuch0" in failure.message


@pytest.mark.cgroup2
def test_execs_are_in_the_container(container: Container) -> None:
    script = "hostname; id -un; ls /proc/self/fd; grep CapEff /proc/self/status; exit 5"
    members = "cd /sys/fs/cgroup; cat pids/cgroup.procs cgroup.procs 2>/dev/null | grep -c 1"
    outcome = container.run(
        "sleep", "100",
        execs=(
            containers.process("sh", "-c", script, user={"username": "ann"}),
            containers.process("nosuch"),
            containers.process("pwd", cwd="/missing"),
            containers.process("tty", terminal=True),
            containers.process("sh", "-c", members),
        ),
    )  # fmt: skip
    first, missing, directory, terminal, group = outcome.execs
    assert (first.code, first.output.split()) == (5, ["box", "ann", "0", "1", "2", "3", "CapEff:", "0" * 16])
    assert missing.failure == (127, 'exec: "nosuch": executable file not found in $PATH')
    assert directory.failure == (
        127, 'chdir to cwd ("/missing") set in config.json failed: no such file or directory'
    )  # fmt: skip
    assert terminal.output.strip() == "/dev/pts/0"
    assert int(group.output) >= 1
    assert outcome.code == 137


def test_a_directory_as_root(container: Container, base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "copy", symlinks=True)
    container.start = container.start._replace(root=None)
    container.spec["root"]["path"] = str(tmp_path / "copy")
    assert container.run("sh", "-c", "hostname; touch /here").output == "box\n"
    assert (tmp_path / "copy/here").exists()


def test_many_long_layers(container: Container, base: Path, tmp_path: Path) -> None:
    layers = [tmp_path / f"{'l' * 200}-{number}" for number in range(100)]
    for number, layer in enumerate(layers):
        layer.mkdir()
        (layer / f"file-{number}").touch()
    assert container.start.root is not None
    container.start.root["lower"] = [*map(str, layers), str(base)]
    assert container.run("sh", "-c", "ls /file-* | wc -l").output.strip() == "100"


@pytest.mark.cgroup2
def test_a_kernel_without_the_newer_overlay_calls(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "HAS_LAYER_PARAMETERS", False)
    assert container.run("sh", "-c", "hostname; touch /here").output == "box\n"
    assert (container.upper / "here").exists()


@pytest.mark.parametrize("user", [{}, {"username": "ann"}])
def test_the_program_dies_with_its_shim(container: Container, user: dict[str, object]) -> None:
    assert not container.outlives_its_shim("sleep", "100", user=user)


def test_no_module_is_imported_from_the_container(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    def import_something(*_arguments: object) -> None:
        importlib.import_module("colorsys")

    assert "colorsys" not in sys.modules
    monkeypatch.setattr(seal, "plan", import_something)
    monkeypatch.setattr(warnings, "filters", [])
    failure = container.run("true").failure
    assert failure is not None
    assert "ModuleNotFoundError" in failure.message


def test_an_exec_trusts_no_terminal_that_the_container_made(container: Container) -> None:
    container.spec["mounts"] = [mount for mount in container.spec["mounts"] if mount["destination"] != "/dev/pts"]
    outcome = container.run(
        "sh", "-c", "mkdir -p /dev/pts; mkfifo /dev/pts/ptmx; sleep 100",
        execs=(
            containers.process("sh", "-c", "while [ ! -e /dev/pts/ptmx ]; do sleep 0.01; done"),
            containers.process("true", terminal=True),
        ),
    )  # fmt: skip
    assert outcome.execs[1].failure == (125, "/dev/pts is not a devpts file system")


@pytest.mark.cgroup2
def test_a_limit_that_the_kernel_refuses_is_the_runtimes_failure(container: Container) -> None:
    container.spec["linux"]["resources"] = {"cpu": {"cpus": "4000-5000"}}
    failure = container.run("true").failure
    assert failure is not None and failure.exit_code == 125 and "cpuset.cpus" in failure.message
