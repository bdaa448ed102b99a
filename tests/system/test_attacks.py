"""Known ways out of a container, each tried for real. The numbers are those of the CVEs that made them known."""

import errno
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from harness import probes
from harness.engine import Engine
from harness.waiting import eventually

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
    before = _mounts_of(daemon)
    for _ in range(8):
        flags = ("-v", "shared:/v", "--tmpfs", "/v/a")
        done = daemon.docker(*RUN, *flags, "busybox", "sh", "-c", "ls /v/a/ /v/a/root; ls /", check=False)
        assert "vmlinuz" not in done.out and "boot" not in done.out.split()
    assert _mounts_of(daemon) == before


def _mounts_of(daemon: Engine) -> list[str]:
    """Of the host, where the attack would bring one: others may mount and unmount meanwhile."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if str(daemon.base) in line or line.split()[4] in ("/", "/v/a", "/root", "/v")]


def test_devices_of_the_host_are_not_opened(daemon: Engine) -> None:
    numbers = os.stat("/").st_dev
    script = f"mknod /tmp/disk b {os.major(numbers)} {os.minor(numbers)}; head -c1 /tmp/disk 2>&1; mknod /tmp/m c 1 1;"
    out = sh(daemon, f"{script} head -c1 /tmp/m 2>&1; true")
    assert out.count("Operation not permitted") + out.count("No such device") >= 2


def test_2019_14271_nothing_of_a_container_is_loaded(daemon: Engine, tmp_path: Path) -> None:
    """Where the host has libraries, the root has pipes, and who opens one waits for ever; its modules are traps."""
    mark, root = tmp_path / "loaded", tmp_path / "root"
    for place in _MODULES:
        _write(root / place, f"open({str(mark)!r}, 'w')\nopen('/trapped', 'w')\n")
    _write(root / "etc/nsswitch.conf", "passwd: files systemd compat\nhosts: files dns\n")
    _write(root / "etc/passwd", "app:x:7:7::/:/bin/sh\n")
    for place in _LIBRARIES:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(root / place)
    image = subprocess.run(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE, check=True).stdout
    daemon.docker("create", "--name", "trap", "--user", "app", "busybox", "sleep", "300")
    assert daemon.http("PUT", "/containers/trap/archive?path=/", image).status == 200
    daemon.docker("start", "trap")
    for state in ("running", "stopped"):
        daemon.docker("cp", "trap:/etc/passwd", str(tmp_path / state))
        daemon.docker("cp", "-a", str(root / "etc/passwd"), "trap:/tmp/")
        daemon.docker("export", "-o", str(tmp_path / "out.tar"), "trap")
        daemon.docker("diff", "trap")
        daemon.docker("commit", "trap", "trapped")
        if state == "running":
            daemon.docker("exec", "-u", "app", "trap", "/bin/true")
            daemon.docker("kill", "trap")
    assert not mark.exists() and not Path("/trapped").exists()
    assert "A /trapped" not in daemon.docker("diff", "trap").out.splitlines()


_LIBRARIES = [f"lib/x86_64-linux-gnu/libnss_{name}.so.2" for name in ("files", "compat", "systemd", "dns")]
_NAMES = ("os", "tarfile", "pwd", "grp", "zlib", "stat", "posixpath", "copyreg", "sitecustomize", "encodings/idna")
_PLACES = [path[1:] for path in sys.path if path.endswith(f"python3.{sys.version_info.minor}")]
_MODULES = [f"{place}/{name}.py" for place in _PLACES for name in _NAMES]
"""What an interpreter may load after it began: name services, and modules that a worker's code might import."""


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_2018_15664_links_that_are_swapped_while_archives_go_both_ways(daemon: Engine, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("of the host")
    link, directory = f"ln -s {outside} /s/it; rm /s/it", "mkdir /s/it; touch /s/it/own; rm -r /s/it"
    swap = f"mkdir -p /s; while :; do {link}; {directory}; done"
    daemon.docker("run", "-d", "--name", "box", "--net", "none", "busybox", "sh", "-c", swap)
    for path in ["/s/it", "/s/it/", "/s/it/secret"] * 6:
        got = daemon.http("GET", f"/containers/box/archive?path={path}")
        assert b"of the host" not in got.body
        daemon.http("PUT", "/containers/box/archive?path=/s/it", layer(("planted", tarfile.REGTYPE, "x")))
    assert os.listdir(outside) == ["secret"]


def test_2023_27561_a_volume_is_not_mounted_into_proc_by_a_race(daemon: Engine, tmp_path: Path) -> None:
    """The place of a mount is swapped for a link to /proc, by another container of the volume that it lies in."""
    (tmp_path / "sys").mkdir()
    daemon.docker("volume", "create", "shared")
    swap = (
        "mkdir -p /v/a/sys; ln -s /proc /v/b; while :; do mv /v/a /v/c; mv /v/b /v/a; mv /v/a /v/b; mv /v/c /v/a; done"
    )
    daemon.docker("run", "-d", "--net", "none", "-v", "shared:/v", "busybox", "sh", "-c", swap)
    for _ in range(6):
        flags = ("-v", "shared:/v", "-v", f"{tmp_path}/sys:/v/a/sys")
        done = daemon.docker(*RUN, *flags, "busybox", "cat", "/proc/self/mountinfo", check=False)
        places = [line.split()[4:6] for line in done.out.splitlines()]
        assert [options.split(",")[0] for place, options in places if place == "/proc/sys"] in ([], ["ro"]), done
        assert not [place for place, _ in places if place.startswith("/proc/sys/")]


RELEASE_AGENT = """
    import ctypes, json, os
    libc = ctypes.CDLL(None, use_errno=True)
    said = {}
    if NEW_USER:
        said["unshare"] = libc.unshare(0x10000000 | 0x20000 | 0x2000000)
        for name, text in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
            try:
                open(f"/proc/self/{name}", "w").write(text)
            except OSError as error:
                said[name] = error.errno
    os.mkdir("/tmp/c")
    for controller in ("memory", "rdma", "pids", "cpu", "devices"):
        if libc.mount(b"c", b"/tmp/c", b"cgroup", 0, controller.encode()) == 0:
            said["mounted"] = controller
            break
    said["written"] = []
    for directory, _, files in os.walk("/tmp/c"):
        for name in files:
            if name == "release_agent":
                try:
                    open(f"{directory}/{name}", "w").write("/tmp/agent")
                    said["written"].append(directory)
                except OSError as error:
                    said["refused"] = error.errno
    print(json.dumps(said))
"""


@pytest.mark.needs("host-python", "cgroup-v1")
@pytest.mark.parametrize("flags", [(), ("--cap-add", "SYS_ADMIN")], ids=["plain", "SYS_ADMIN"])
@pytest.mark.parametrize("new_user", [True, False], ids=["own user namespace", "no user namespace"])
def test_2022_0492_a_release_agent_is_not_written(daemon: Engine, flags: tuple[str, ...], new_user: bool) -> None:
    """Without a filter of system calls, in a user namespace of its own where it has all capabilities."""
    script = RELEASE_AGENT.replace("NEW_USER", str(new_user))
    said = probes.python(daemon, script, "--net", "none", "--security-opt", "seccomp=unconfined", *flags)
    assert said["written"] == []
    if new_user:
        assert said["unshare"] == 0 and "uid_map" not in said, "the attack got as far as it can"


@pytest.mark.needs("host-python")
def test_keys_of_one_container_are_not_read_by_another(daemon: Engine) -> None:
    """Key rings know no namespaces; what keeps them apart is that each container has a session of its own."""
    keep = """
import ctypes, time
libc = ctypes.CDLL(None)
key = libc.syscall(248, b"user", b"cove-secret", b"hidden", 6, -3)
print(key, flush=True)
time.sleep(300)
"""
    loose = ("--security-opt", "seccomp=unconfined")
    python = (*probes.BINDS, "busybox", "/usr/bin/python3", "-c", keep)
    daemon.docker("run", "-d", "--name", "keeper", "--net", "none", *loose, *python)
    key = int(eventually(lambda: daemon.docker("logs", "keeper").out.strip(), bool))
    assert key > 0
    script = f"""
        import ctypes, json
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(64)
        def keyctl(*words):
            result = libc.syscall(250, *words)
            return result if result >= 0 else -ctypes.get_errno()
        read = keyctl(11, {key}, buffer, 64)
        link = keyctl(8, {key}, -3)
        found = keyctl(10, -3, b"user", b"cove-secret", 0)
        print(json.dumps([read, link, found, buffer.raw[:6].decode(errors="replace")]))
    """
    read, link, found, content = probes.python(daemon, script, "--net", "none", *loose)
    assert read < 0 and link < 0 and found < 0 and content != "hidden"
    refused = probes.calls(daemon, [[248, 0, 0, 0, 0, -3], [249, 0, 0, 0, 0], [250, 11, key, 0, 0]], "--net", "none")
    assert refused == [errno.EPERM] * 3


def test_an_inode_bomb(daemon: Engine) -> None:
    """In memory inodes are bounded; on disk the file system's own bound is all there is (docs/security.md)."""
    script = "i=0; while [ $i -lt 300 ]; do : > /t/$i || exit 3; i=$((i+1)); done 2>/dev/null"
    done = daemon.docker(
        *RUN, "--tmpfs", "/t:nr_inodes=100", "busybox", "sh", "-c", f"{script}; ls /t | wc -l", check=False
    )
    assert done.code != 0
    read_only = daemon.docker(*RUN, "--read-only", "busybox", "sh", "-c", ": > /x", check=False)
    assert "Read-only file system" in read_only.err
