"""Known ways out of a container, each tried for real. The numbers are those of the CVEs that made them known."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from harness import probes
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static", "cove")

RUN = ("run", "--rm", "--net", "none")


def sh(engine: Engine, script: str, *flags: str) -> str:
    return engine.docker(*RUN, *flags, "busybox", "sh", "-c", script).out


def layer(*entries: tuple[str, bytes, str]) -> bytes:
    """A tar of (name, type, target of a link or content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = kind, 0o755
            if kind == tarfile.REGTYPE:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content.encode()))
            else:
                entry.linkname = content
                tar.addfile(entry)
    return buffer.getvalue()


@pytest.mark.needs("host-python")
def test_2019_5736_no_executable_of_the_host_opens_for_writing(daemon: Engine) -> None:
    """A process of ours that enters a container is looked for, and its /proc/<pid>/exe opened, while execs come in."""
    hunter = """
import os, time, sys
end, opened = time.monotonic() + 4, []
while time.monotonic() < end:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) in (1, os.getpid()):
            continue
        try:
            path = os.readlink(f"/proc/{pid}/exe")
            if not path.startswith("/bin/"):
                os.close(os.open(f"/proc/{pid}/exe", os.O_WRONLY))
                opened.append(path)
        except OSError:
            pass
print("opened", opened)
"""
    flags = ("--name", "box", "--cap-add", "SYS_PTRACE", "--security-opt", "seccomp=unconfined")
    python = ("busybox", "/usr/bin/python3", "-c", hunter)
    with daemon.spawned("docker", *RUN, *flags, *probes.BINDS, *python) as client:
        while daemon.docker("inspect", "-f", "{{.State.Running}}", "box", check=False).out != "true\n":
            pass
        for _ in range(15):
            daemon.docker("exec", "box", "/bin/true")
        out, _ = client.communicate(timeout=30)
    assert b"opened []" in out


@pytest.mark.parametrize("program", ["/proc/self/exe", "/proc/1/exe"])
def test_2019_5736_the_runtime_is_not_run_as_a_program(daemon: Engine, program: str) -> None:
    done = daemon.docker(*RUN, "busybox", program, "-c", "print(1 + 1)", check=False)
    assert done.code != 0 and "2" not in done.out.split()
    daemon.docker("run", "-d", "--net", "none", "--name", "box", "busybox", "sleep", "300")
    assert "2" not in daemon.docker("exec", "box", "/proc/self/exe", "-c", "print(1 + 1)", check=False).out.split()


def test_2024_21626_no_descriptor_leaks(daemon: Engine) -> None:
    script = "for fd in /proc/self/fd/*; do readlink $fd; done | grep -v -E 'pipe|null|/proc|socket' ; true"
    assert sh(daemon, script) == ""
    daemon.docker("run", "-d", "--net", "none", "--name", "box", "busybox", "sleep", "300")
    assert daemon.docker("exec", "box", "sh", "-c", script).out == ""


@pytest.mark.parametrize("number", [3, 5, 7, 8, 9, 12])
def test_2024_21626_no_descriptor_is_a_working_directory(daemon: Engine, number: int) -> None:
    path = f"/proc/self/fd/{number}"
    done = daemon.docker(*RUN, "-w", path, "busybox", "cat", "../../../etc/hostname", check=False)
    assert done.code != 0
    daemon.docker("run", "-d", "--net", "none", "--name", "box", "busybox", "sleep", "300")
    assert daemon.docker("exec", "-w", path, "box", "pwd", check=False).code != 0


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_2019_19921_kernel_file_systems_are_not_mounted_through_links(daemon: Engine, name: str) -> None:
    content = layer(("tmp", tarfile.DIRTYPE, ""), (name, tarfile.SYMTYPE, "/tmp"), ("run", tarfile.REGTYPE, "x"))
    source = daemon.base / "linked.tar"
    source.write_bytes(content)
    daemon.docker("import", str(source), "linked")
    done = daemon.docker(*RUN, "linked", "/run", check=False)
    assert done.code != 0 and f"/{name} must be an ordinary directory" in done.err


def test_2025_31133_a_null_device_that_is_another_thing(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/proc/sysrq-trigger")
    done = daemon.docker(*RUN, "-v", f"{tmp_path}:/dev", "busybox", "true", check=False)
    assert done.code != 0


def test_2025_52565_a_console_that_is_a_link(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "console").symlink_to("/proc/sys/kernel/core_pattern")
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    daemon.docker(*RUN, "-t", "-v", f"{tmp_path}:/dev", "busybox", "sh", "-c", "echo x > /dev/console", check=False)
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


@pytest.mark.parametrize("place", ["/proc/sys", "/proc/self/attr", "/proc/sysrq-trigger"])
def test_2025_52881_nothing_is_mounted_into_proc(daemon: Engine, tmp_path: Path, place: str) -> None:
    flags = ("-v", f"{tmp_path}:{place}", "--sysctl", "net.ipv4.ip_forward=1")
    assert daemon.docker(*RUN, *flags, "busybox", "true", check=False).code != 0


def test_2022_0492_no_release_agent(daemon: Engine) -> None:
    script = "unshare -UrmC sh -c 'mkdir /tmp/c && mount -t cgroup -o memory c /tmp/c' && echo mounted"
    assert "mounted" not in daemon.docker(*RUN, "busybox", "sh", "-c", script, check=False).out
    assert sh(daemon, "find /sys/fs/cgroup -name release_agent | wc -l").strip() == "0"


MASKED = "asound acpi interrupts kcore keys latency_stats timer_list timer_stats sched_debug scsi".split()


def test_what_the_kernel_tells_of_the_host_is_masked(daemon: Engine) -> None:
    paths = " ".join(f"/proc/{name}" for name in MASKED)
    script = f"for p in {paths}; do [ -d $p ] && ls $p || head -c1 $p 2>/dev/null; done"
    assert sh(daemon, f"{script}; true") == ""
    assert sh(daemon, "ls /sys/firmware /sys/devices/virtual/powercap 2>/dev/null | grep -v : ; true").strip() == ""
    throttled = "cat /sys/devices/system/cpu/cpu*/thermal_throttle/* 2>/dev/null; true"
    assert sh(daemon, throttled) == ""


def test_nothing_of_the_kernel_is_written(daemon: Engine) -> None:
    script = "for p in /proc/sysrq-trigger /proc/sys/kernel/core_pattern /sys/kernel/mm/ksm/run; do echo 1 > $p; done"
    done = daemon.docker(*RUN, "busybox", "sh", "-c", f"({script}) 2>&1; mount -o remount,rw /proc/sys 2>&1; true")
    assert done.out.count("Read-only file system") + done.out.count("can't create") >= 3


@pytest.mark.needs("host-python")
def test_each_container_has_a_session_keyring_of_its_own(daemon: Engine) -> None:
    script = """
        import ctypes, json
        libc = ctypes.CDLL(None)
        print(json.dumps(libc.syscall(250, 0, -3, 0)))
    """
    option = ("--security-opt", "seccomp=unconfined")
    first, second = probes.python(daemon, script, *option), probes.python(daemon, script, *option)
    assert first != second and first > 0


@pytest.mark.needs("cgroup-pids")
def test_a_fork_bomb(daemon: Engine) -> None:
    script = "i=0; while [ $i -lt 80 ]; do sleep 5 & i=$((i+1)); done 2>&1; true"
    out = daemon.docker(*RUN, "--pids-limit", "30", "busybox", "sh", "-c", script, check=False)
    assert "can't fork" in out.out + out.err


@pytest.mark.needs("cgroup-memory")
def test_a_memory_bomb(daemon: Engine) -> None:
    script = "x=$(head -c 200000000 /dev/zero | tr '\\0' x)"
    daemon.docker("run", "--name", "bomb", "--net", "none", "-m", "32m", "busybox", "sh", "-c", script, check=False)
    assert daemon.docker("inspect", "-f", "{{.State.OOMKilled}}", "bomb").out == "true\n"


def test_a_log_bomb(daemon: Engine) -> None:
    bounds = ("--log-opt", "max-size=100k", "--log-opt", "max-file=2")
    daemon.docker("run", "--name", "bomb", "--net", "none", *bounds, "busybox", "sh", "-c", "yes | head -n 100000")
    path = Path(daemon.docker("inspect", "-f", "{{.LogPath}}", "bomb").out.strip())
    assert 0 < sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*")) < 300_000


def test_an_image_that_reaches_for_the_host(daemon: Engine, tmp_path: Path) -> None:
    """Hard links, absolute links, files through links, and names with dots stay in the image's root, or are refused."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    tars = [
        layer(("link", tarfile.SYMTYPE, str(tmp_path)), ("link/victim", tarfile.REGTYPE, "owned")),
        layer(("hard", tarfile.LNKTYPE, f"../../../../..{victim}"), ("hard", tarfile.REGTYPE, "owned")),
        layer((f"../../../../../../..{victim}", tarfile.REGTYPE, "owned")),
        layer(("up", tarfile.SYMTYPE, "../../../../../.."), (f"up{victim}", tarfile.REGTYPE, "owned")),
        layer(("link", tarfile.SYMTYPE, str(tmp_path)), ("link/.wh.victim", tarfile.REGTYPE, "")),
        layer(("link", tarfile.SYMTYPE, str(tmp_path)), ("link/.wh..wh..opq", tarfile.REGTYPE, "")),
    ]
    for number, content in enumerate(tars):
        source = daemon.base / f"evil{number}.tar"
        source.write_bytes(content)
        daemon.docker("import", str(source), f"evil:{number}", check=False)
        assert victim.read_text() == "untouched", number


def test_2021_30465_a_mount_point_that_is_swapped_for_a_link(daemon: Engine) -> None:
    daemon.docker("volume", "create", "shared")
    swap = "mkdir -p /v/a; ln -s / /v/b; while :; do mv /v/a /v/c; mv /v/b /v/a; mv /v/a /v/b; mv /v/c /v/a; done"
    daemon.docker("run", "-d", "--net", "none", "-v", "shared:/v", "busybox", "sh", "-c", swap)
    before = Path("/proc/self/mountinfo").read_text().count("\n")
    for _ in range(8):
        flags = ("-v", "shared:/v", "--tmpfs", "/v/a")
        done = daemon.docker(*RUN, *flags, "busybox", "sh", "-c", "ls /v/a/ /v/a/root; ls /", check=False)
        assert "vmlinuz" not in done.out and "boot" not in done.out.split()
    assert Path("/proc/self/mountinfo").read_text().count("\n") <= before + 2


def test_devices_of_the_host_are_not_opened(daemon: Engine) -> None:
    numbers = os.stat("/").st_dev
    script = f"mknod /tmp/disk b {os.major(numbers)} {os.minor(numbers)}; head -c1 /tmp/disk 2>&1; mknod /tmp/m c 1 1;"
    out = sh(daemon, f"{script} head -c1 /tmp/m 2>&1; true")
    assert out.count("Operation not permitted") + out.count("No such device") >= 2
