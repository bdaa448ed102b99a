"""``docker run`` as a user sees it: output, exit codes, and the world inside the container."""

import re
import subprocess
from pathlib import Path

import pytest

from harness.engine import Engine
from harness.needs import TESTING_THE_TESTS

DEFAULT_CAPABILITIES = "00000000a80425fb"
"""CapEff of a container that was given no flags; Docker's fourteen."""


def run(engine: Engine, script: str, *flags: str) -> str:
    """What a shell script prints in a new container."""
    return engine.docker("run", "--rm", *flags, "busybox", "sh", "-c", script).out


def test_output_and_errors_stay_apart(daemon: Engine) -> None:
    done = daemon.docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (done.out, done.err) == ("out\n", "err\n")


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -15 $$", 143)])
def test_exit_code(daemon: Engine, script: str, code: int) -> None:
    # a shell that is pid 1 is deaf to its own signals, so one below it gets them
    assert daemon.docker("run", "--rm", "busybox", "sh", "-c", f"sh -c '{script}'; exit $?", check=False).code == code


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["nonesuch"], 127, 'exec: "nonesuch": executable file not found in $PATH'),
        (["/nonesuch"], 127, "/nonesuch: no such file or directory"),
        (["/etc/passwd"], 126, "permission denied"),
    ],
)
def test_command_that_cannot_start(daemon: Engine, command: list[str], code: int, words: str) -> None:
    done = daemon.docker("run", "--rm", "busybox", *command, check=False)
    assert done.code == code
    assert words in done.err
    assert "Error response from daemon" in done.err


def test_exec_format_error(daemon: Engine, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fnot an executable")
    program.chmod(0o755)
    options = ("--name", "bad", "-v", f"{program}:/program")
    done = daemon.docker("run", *options, "busybox", "/program", check=False)
    assert done.code in ({1} if TESTING_THE_TESTS else {126})
    assert "exec /program: exec format error" in done.err
    assert "exec /program: exec format error" in daemon.docker("logs", "bad").err


def test_missing_image(daemon: Engine) -> None:
    done = daemon.docker("run", "--rm", "--pull", "never", "nonesuch:1", check=False)
    assert done.code == 125
    assert "No such image: nonesuch:1" in done.err


def test_standard_input(daemon: Engine) -> None:
    assert daemon.docker("run", "-i", "--rm", "busybox", "cat", input="hello\nthere\n").out == "hello\nthere\n"


def test_half_closed_input_still_gives_the_output(daemon: Engine) -> None:
    out = daemon.docker("run", "-i", "--rm", "busybox", "sh", "-c", "wc -c; echo after", input="x" * 100_000).out
    assert out.split() == ["100000", "after"]


def test_without_interactive_there_is_no_input(daemon: Engine) -> None:
    assert daemon.docker("run", "--rm", "busybox", "cat", input="ignored").out == ""


def test_large_output_arrives_whole(daemon: Engine) -> None:
    out = run(daemon, "yes 0123456789abcdef | head -n 200000")
    assert out == "0123456789abcdef\n" * 200_000


def test_detached_prints_the_id_and_goes_on(daemon: Engine) -> None:
    container = daemon.docker("run", "-d", "busybox", "sleep", "600").out.strip()
    assert re.fullmatch("[0-9a-f]{64}", container)
    assert daemon.docker("ps", "-q", "--no-trunc").out.split() == [container]


def test_rm_removes(daemon: Engine) -> None:
    daemon.docker("run", "--rm", "--name", "gone", "busybox", "true")
    assert daemon.docker("inspect", "gone", check=False).code == 1


def test_name_that_is_taken(daemon: Engine) -> None:
    holder = daemon.docker("run", "-d", "--name", "taken", "busybox", "sleep", "600").out.strip()
    done = daemon.docker("run", "--name", "taken", "busybox", "true", check=False)
    assert done.code == 125
    assert f'Conflict. The container name "/taken" is already in use by container "{holder}"' in done.err


def test_program_is_process_one_in_its_own_namespace(daemon: Engine) -> None:
    assert (
        daemon.docker("run", "--rm", "busybox", "sh", "-c", "echo $$; ls -d /proc/[0-9]* | wc -l").out.split()[0] == "1"
    )
    assert "sleep" not in run(daemon, "ps")


def test_init_is_process_one_when_asked(daemon: Engine) -> None:
    assert run(daemon, "echo $$", "--init").strip() != "1"


def test_init_reaps_and_forwards(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--init", "--name", "reaper", "busybox", "sleep", "600")
    daemon.docker("exec", "reaper", "sh", "-c", "(sleep 0 &) ; exit 0")
    daemon.docker("stop", "-t", "10", "reaper")
    assert daemon.docker("inspect", "-f", "{{.State.ExitCode}}", "reaper").out.strip() == "143"


def test_environment(daemon: Engine) -> None:
    lines = daemon.docker("run", "--rm", "-e", "A=1", "-e", "B=two words", "--hostname", "box", "busybox", "env").out
    assert {"A=1", "B=two words", "HOSTNAME=box", "HOME=/root"} <= set(lines.splitlines())
    assert "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" in lines


def test_hostname_is_the_short_id(daemon: Engine, tmp_path: Path) -> None:
    cidfile = tmp_path / "cid"
    name = daemon.docker("run", "--cidfile", str(cidfile), "busybox", "hostname").out.strip()
    assert cidfile.read_text()[:12] == name


def test_working_directory_is_made(daemon: Engine) -> None:
    assert run(daemon, "pwd", "-w", "/a/b").strip() == "/a/b"


@pytest.mark.parametrize(
    ("user", "seen"),
    [
        ("nobody", "uid=65534(nobody) gid=65534"),
        ("1000", "uid=1000 gid=0"),
        ("1000:50", "uid=1000 gid=50"),
        ("daemon", "uid=1"),
    ],
)
def test_user(daemon: Engine, user: str, seen: str) -> None:
    assert run(daemon, "id", "-u", user).startswith(seen)


def test_unknown_user(daemon: Engine) -> None:
    done = daemon.docker("run", "--rm", "-u", "stranger", "busybox", "true", check=False)
    assert done.code == (126 if TESTING_THE_TESTS else 125)
    assert "unable to find user stranger: no matching entries in passwd file" in done.err


def test_entrypoint(daemon: Engine) -> None:
    assert daemon.docker("run", "--rm", "--entrypoint", "echo", "busybox", "a", "b").out == "a b\n"


def test_read_only_root(daemon: Engine) -> None:
    assert run(daemon, "touch /x 2>&1 || echo refused", "--read-only").endswith("Read-only file system\nrefused\n")


def test_bind_mounts(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("from the host")
    mount = ("-v", f"{tmp_path}:/here", "-v", f"{tmp_path}:/fixed:ro")
    assert run(daemon, "cat /here/in; echo back >/here/out; touch /fixed/x 2>&1 || true", *mount) == (
        "from the hosttouch: /fixed/x: Read-only file system\n"
    )
    assert (tmp_path / "out").read_text() == "back\n"


def test_tmpfs(daemon: Engine) -> None:
    line = run(daemon, "grep ' /scratch ' /proc/mounts", "--tmpfs", "/scratch:size=1m")
    assert line.startswith("tmpfs /scratch tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k")


def test_anonymous_volume_goes_with_rm(daemon: Engine) -> None:
    assert "/vol" in run(daemon, "grep ' /vol ' /proc/mounts", "-v", "/vol")
    assert daemon.docker("volume", "ls", "-q").out == ""


def test_default_capabilities(daemon: Engine) -> None:
    script = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status"
    sets = dict(line.split(":\t") for line in run(daemon, script).splitlines())
    assert sets["CapPrm"] == sets["CapEff"] == sets["CapBnd"] == DEFAULT_CAPABILITIES
    assert sets["CapAmb"] == "0" * 16


@pytest.mark.parametrize(
    ("flags", "effective"),
    [
        (["--cap-drop", "ALL"], "0000000000000000"),
        (["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"], "0000000000001000"),
        (["--cap-add", "SYS_TIME"], "00000000aa0425fb"),
        (["-u", "nobody"], "0000000000000000"),
    ],
)
def test_capabilities(daemon: Engine, flags: list[str], effective: str) -> None:
    assert run(daemon, "grep CapEff /proc/self/status", *flags).split()[1] == effective


@pytest.mark.needs("cove")  # Docker 20.10 asks for more than a machine may have, and fails
def test_privileged_has_every_capability(daemon: Engine) -> None:
    # what the engine itself has is what it can give
    own = Path(f"/proc/{daemon.pid}/status").read_text().split("CapBnd:")[1].split()[0]
    assert run(daemon, "grep CapBnd /proc/self/status", "--privileged").split()[1] == own


def test_no_new_privileges(daemon: Engine) -> None:
    script = "grep NoNewPrivs /proc/self/status"
    assert run(daemon, script).split()[1] == "0"
    assert run(daemon, script, "--security-opt", "no-new-privileges").split()[1] == "1"


def test_devices(daemon: Engine) -> None:
    names = run(daemon, "ls /dev").split()
    assert set(names) >= {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue"}
    assert set(names) >= {"fd", "stdin", "stdout", "stderr"}
    assert not {"sda", "vda", "kmsg", "mem"} & set(names)
    assert run(daemon, "echo x >/dev/null && head -c 3 /dev/zero | wc -c; readlink /dev/fd").split() == [
        "3",
        "/proc/self/fd",
    ]


def test_proc_is_masked_and_read_only(daemon: Engine) -> None:
    assert run(
        daemon, "head -c 1 /proc/kcore | wc -c; ls /proc/acpi /sys/firmware 2>/dev/null | grep -v :"
    ).split() == ["0"]
    assert (
        "Read-only file system"
        in run(daemon, "echo x >/proc/sys/kernel/domainname || true", "-i")
        + daemon.docker("run", "--rm", "busybox", "sh", "-c", "echo x >/proc/sys/kernel/domainname", check=False).err
    )


def test_hosts_file_names_the_container(daemon: Engine) -> None:
    out = run(daemon, "cat /etc/hosts; hostname -i", "--hostname", "box", "--add-host", "db:10.1.2.3")
    address = out.splitlines()[-1]
    assert f"{address}\tbox" in out
    assert "10.1.2.3\tdb" in out
    assert "127.0.0.1\tlocalhost" in out


def test_network_none_has_only_loopback(daemon: Engine) -> None:
    assert run(daemon, "ls /sys/class/net", "--net", "none").split() == ["lo"]


def test_network_of_the_host(daemon: Engine) -> None:
    inside = run(daemon, "ls /sys/class/net", "--net", "host").split()
    assert "eth0" not in inside
    assert "lo" in inside


def test_network_of_another_container(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "first", "busybox", "sleep", "600")
    ours = daemon.docker("exec", "first", "hostname", "-i").out
    assert run(daemon, "ip -4 -o addr show eth0 | awk '{print $4}' | cut -d/ -f1", "--net", "container:first") == ours


@pytest.mark.needs("cgroup-memory")
def test_memory_limit(daemon: Engine) -> None:
    script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true"
    assert run(daemon, script, "-m", "64m").split() == [str(64 << 20)]


@pytest.mark.needs("cgroup-memory")
def test_out_of_memory(daemon: Engine) -> None:
    flags = ("--name", "hog", "-m", "16m", "--memory-swap", "16m")
    done = daemon.docker("run", *flags, "busybox", "sh", "-c", "x=$(yes | head -c 100000000); echo $x", check=False)
    assert done.code == 137
    assert daemon.docker("inspect", "-f", "{{.State.OOMKilled}}", "hog").out.strip() == "true"


@pytest.mark.needs("cgroup-pids")
def test_pids_limit(daemon: Engine) -> None:
    script = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null || true"
    assert run(daemon, script, "--pids-limit", "33").split() == ["33"]


def test_cpu_limit(daemon: Engine) -> None:
    script = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null || true"
    assert run(daemon, script, "--cpus", "0.5").split()[0] == "50000"


def test_ulimit(daemon: Engine) -> None:
    assert run(daemon, "ulimit -Sn; ulimit -Hn", "--ulimit", "nofile=100:200").split() == ["100", "200"]


def test_shm_size(daemon: Engine) -> None:
    assert "size=65536k" in run(daemon, "grep ' /dev/shm ' /proc/mounts")
    assert "size=8192k" in run(daemon, "grep ' /dev/shm ' /proc/mounts", "--shm-size", "8m")


def test_sysctl(daemon: Engine) -> None:
    assert run(daemon, "cat /proc/sys/net/core/somaxconn", "--sysctl", "net.core.somaxconn=77").strip() == "77"


def test_no_descriptor_of_the_engine_is_open_inside(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "clean", "busybox", "sleep", "600")
    assert daemon.docker("exec", "clean", "ls", "/proc/1/fd").out.split() == ["0", "1", "2"]


def test_signals_reach_the_program(daemon: Engine) -> None:
    with daemon.spawned(
        "docker", "run", "--rm", "busybox", "sh", "-c", "trap 'exit 42' TERM; echo up; while :; do :; done"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.terminate()
        assert process.wait(20) == 42


def test_two_at_once(daemon: Engine) -> None:
    command = ("docker", "run", "--rm", "-i", "busybox", "cat")
    with daemon.spawned(*command) as one, daemon.spawned(*command) as two:
        assert one.communicate(b"one", 30)[0] == b"one"
        assert two.communicate(b"two", 30)[0] == b"two"


def test_create_then_start_attached(daemon: Engine) -> None:
    daemon.docker("create", "--name", "later", "busybox", "echo", "now")
    assert daemon.docker("inspect", "-f", "{{.State.Status}}", "later").out.strip() == "created"
    assert daemon.docker("start", "-a", "later").out == "now\n"
    assert daemon.docker("inspect", "-f", "{{.State.Status}}", "later").out.strip() == "exited"


def test_client_that_goes_away_leaves_the_container(daemon: Engine) -> None:
    with daemon.spawned("docker", "run", "--name", "stays", "busybox", "sh", "-c", "echo up; sleep 600") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.kill()
        process.wait()
    assert daemon.docker("inspect", "-f", "{{.State.Running}}", "stays").out.strip() == "true"


def test_sdk(daemon: Engine) -> None:
    assert daemon.sdk.containers.run("busybox", ["echo", "hi"], remove=True) == b"hi\n"


@pytest.mark.needs("cove")
def test_own_command_line(daemon: Engine) -> None:
    assert daemon.cove("run", "--rm", "busybox", "echo", "hi").out == "hi\n"
    assert daemon.cove("run", "--rm", "busybox", "sh", "-c", "exit 3", check=False).code == 3


@pytest.mark.needs("cove")
def test_root_is_mounted_inside_only(daemon: Engine) -> None:
    daemon.docker("run", "-d", "busybox", "sleep", "600")
    mounts = subprocess.run(["findmnt", "-rn", "-o", "TARGET"], check=True, capture_output=True, text=True).stdout
    assert str(daemon.base) not in mounts


def test_shares_the_network_and_names_of_another(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "--hostname", "harbour", "busybox", "sleep", "600")
    done = daemon.docker("run", "--rm", "--net", "container:box", "busybox", "sh", "-c", "hostname; hostname -i")
    address = daemon.docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "box").out.strip()
    assert done.out.split() == ["harbour", address]


def test_network_of_a_container_that_is_not_there(daemon: Engine) -> None:
    done = daemon.docker("run", "--rm", "--net", "container:nonesuch", "busybox", "true", check=False)
    assert (done.code, "No such container: nonesuch" in done.err) == (125, True)
