"""``cove-oci`` below other engines: Debian's Podman, and Docker's daemon with containerd."""

import errno
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cove.kernel import cgroups
from cove.seccomp.abi import ABIS, numbers
from harness import base_image
from harness.oci import PROGRAM, Done
from harness.peer import Peer
from harness.probes import BINDS, CALLS
from harness.seccomp_listener import Listener

GROUP = f"cove-test-{os.getpid()}-podman"
"""Where Podman's containers are, so that they leave nothing in a group that others use too."""

LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=10000:10000")
"""Podman asks for more than a machine without CAP_SYS_RESOURCE gives, whatever the runtime."""

TRIED: tuple[tuple[Any, ...], ...] = (
    ("io_uring_setup", 1, 0, True),
    ("bpf", 0, 0, 0, True),
    ("init_module", 0, 0, 0, True),
    ("kexec_load", 0, 0, 0, 0, True),
    ("perf_event_open", 0, 0, 0, 0, 0, True),
    ("userfaultfd", 0, True),
    ("keyctl", 0, -1, False),
    ("unshare", 0x10000000, False),  # a user namespace
    ("mount", 0, 0, 0, 0, 0, False),
    ("process_vm_readv", 0, 0, 0, 0, 0, 0, False),
    ("socket", socket.AF_VSOCK, socket.SOCK_STREAM, 0, False),
    ("socket", socket.AF_ALG, socket.SOCK_SEQPACKET, 0, False),
)
"""System calls with arguments, and whether Podman's default profile refuses them."""


WITHOUT_VERSION_2 = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
"""crun refuses a machine that has controllers in both versions of control groups."""

HUNTER = """
import errno, os
own, found = {os.getpid(), 1}, None
while found is None:
    for pid in {int(name) for name in os.listdir("/proc") if name.isdigit()} - own:
        try:
            if os.readlink(f"/proc/{pid}/exe").startswith(("/bin/", "/usr/bin/python")):
                continue
            found = os.open(f"/proc/{pid}/exe", os.O_PATH)
        except (FileNotFoundError, ProcessLookupError):
            continue
        break
print(os.fstat(found).st_ino)
while True:
    try:
        os.open(f"/proc/self/fd/{found}", os.O_WRONLY)
    except OSError as error:
        if error.errno == errno.ETXTBSY:
            continue
        raise SystemExit(os.strerror(error.errno))
    raise SystemExit("opened")
"""
"""Waits for a process that enters the container, and opens its executable for writing as soon as nobody runs it."""


class Podman:
    """Podman with roots of its own, calling our runtime or (``own``) Debian's."""

    def __init__(self, directory: Path, *, own: bool = False) -> None:
        self._argv = ["unshare", "--mount", "sh", "-c", WITHOUT_VERSION_2, "sh"] if own else []
        self._argv += ["podman", "--root", str(directory / "root"), "--runroot", str(directory / "run")]
        self._argv += ["--tmpdir", str(directory / "tmp"), "--cgroup-manager", "cgroupfs", "--storage-driver", "vfs"]
        self._argv += ["--events-backend", "file", "--runtime", "crun" if own else str(PROGRAM)]
        self._argv += ["--runtime-flag", f"root={directory / 'state'}"]

    def __call__(self, *words: str, check: bool = True, input: bytes = b"") -> Done:
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        done = subprocess.run(
            [*self._argv, *words], input=input, capture_output=True, timeout=60, env={**os.environ, "PATH": path}
        )
        if check and done.returncode:
            raise AssertionError(f"{words}: {done}")
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def run(self, *words: str, check: bool = True, flags: tuple[str, ...] = ()) -> Done:
        """``flags``: Podman's own, before the command."""
        where = ("--cgroup-parent", f"/{GROUP}", "--network", "none")
        return self(*flags, "run", *where, *LIMITS, *words, check=check)


@contextmanager
def set_up(*, own: bool) -> Iterator[Podman]:
    """In a directory with a short name: Podman takes no runroot of more than 50 characters."""
    with tempfile.TemporaryDirectory(prefix="podman-", dir="/tmp") as directory:
        podman = Podman(Path(directory), own=own)
        podman("import", "-", "localhost/busybox", input=base_image.busybox_root())
        yield podman
        podman("rm", "--all", "--force", "--time", "0")
    for directory in sorted(Path("/sys/fs/cgroup").glob(f"*/{GROUP}/**"), reverse=True):
        directory.rmdir()


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    with set_up(own=False) as podman:
        yield podman


@pytest.fixture(scope="module")
def own_podman() -> Iterator[Podman]:
    with set_up(own=True) as podman:
        yield podman


@pytest.mark.needs("podman")
def test_podman_s_hooks(podman: Podman, tmp_path: Path) -> None:
    for stage in ("prestart", "createRuntime", "poststart", "poststop"):
        told = {"path": "/bin/sh", "args": ["sh", "-c", f"cat >{tmp_path}/{stage}.told"]}
        hook = {"version": "1.0.0", "hook": told, "when": {"always": True}, "stages": [stage]}
        (tmp_path / f"{stage}.json").write_text(json.dumps(hook))
    podman.run("--rm", "--name", "hooked", "localhost/busybox", "true", flags=("--hooks-dir", str(tmp_path)))
    seen = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.told")}
    assert seen.keys() == {"prestart", "createRuntime", "poststart", "poststop"}
    assert len({state["id"] for state in seen.values()}) == 1
    assert seen["prestart"]["pid"] > 0 and seen["poststop"]["status"] == "stopped"


@pytest.mark.needs("podman")
def test_podman_runs_containers(podman: Podman) -> None:
    done = podman.run("--rm", "localhost/busybox", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert done == (7, "out\n", "err\n")
    done = podman.run("--rm", "localhost/busybox", "nonesuch", check=False)
    assert (done.code, "executable file not found" in done.err.replace("\\", "")) == (127, True)
    script = "id -u; cat /proc/sys/kernel/hostname; touch /x; true"
    done = podman.run(
        "--rm", "--read-only", "--user", "65534", "--hostname", "box", "localhost/busybox", "sh", "-c", script
    )
    assert done.out == "65534\nbox\n"
    assert "Read-only file system" in done.err


@pytest.mark.needs("podman")
def test_podman_on_a_terminal(podman: Podman) -> None:
    assert "/dev/" in podman.run("--rm", "-t", "localhost/busybox", "tty").out


@pytest.mark.needs("podman")
def test_podman_and_a_container_that_stays(podman: Podman) -> None:
    script = "trap 'exit 3' TERM; while :; do sleep 0.05; done"
    podman.run("-d", "--name", "box", "--memory", "64m", "localhost/busybox", "sh", "-c", script)
    assert podman("exec", "box", "sh", "-c", "echo in; exit 4", check=False)[:2] == (4, "in\n")
    assert "/dev/pts/" in podman("exec", "-t", "box", "tty").out
    podman("pause", "box")
    assert "Paused" in podman("ps", "--format", "{{.Status}}").out or "paused" in podman("ps", "-a").out.lower()
    podman("unpause", "box")
    assert "sleep" in podman("top", "box").out
    podman("stop", "-t", "10", "box")
    assert podman("inspect", "-f", "{{.State.ExitCode}} {{.OCIRuntime}}", "box").out == f"3 {PROGRAM}\n"
    podman("rm", "box")


@pytest.fixture
def plain(podman: Podman) -> Iterator[str]:
    """A container of Podman's for which nothing was asked for but the machine's programs."""
    podman.run("-d", "--name", "plain", *BINDS, "localhost/busybox", "sleep", "600")
    yield "plain"
    podman("rm", "--force", "--time", "0", "plain")


@pytest.mark.needs("podman")
def test_podman_s_defaults_are_what_the_table_says(podman: Podman, plain: str) -> None:
    """Its column in docs/security.md, as far as a container can tell."""
    script = "grep -E 'CapBnd|CapAmb|CapInh|NoNewPrivs|Seccomp:' /proc/self/status; cat /sys/fs/cgroup/pids/pids.max"
    script += "; cat /sys/fs/cgroup/pids.max; touch /sys/fs/cgroup/x /sys/fs/cgroup/pids/x; ls /dev"
    words = podman("exec", plain, "sh", "-c", script, check=False).out.split()
    status = dict(zip(words[:10:2], words[1:10:2], strict=True))
    held = {number for number in range(64) if int(status["CapBnd:"], 16) >> number & 1}
    assert len(held) == 11 and not held & {13, 27, 29}, "NET_RAW, MKNOD and AUDIT_WRITE"
    assert [status[name].strip("0") for name in ("CapAmb:", "CapInh:")] == ["", ""]
    assert (status["NoNewPrivs:"], status["Seccomp:"]) == ("0", "2")
    assert "2048" in words
    assert {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts"} <= set(words)
    shown = json.loads(podman("inspect", plain).out)[0]
    assert shown["HostConfig"]["IpcMode"] == "shareable"
    assert shown["HostConfig"]["PidsLimit"] == 2048
    assert shown["HostConfig"]["LogConfig"]["Size"] == "0B", "not bounded"


@pytest.mark.needs("podman", "host-python")
def test_the_calls_that_podman_refuses_are_what_the_table_says(podman: Podman, plain: str) -> None:
    known = numbers(ABIS["SCMP_ARCH_X86_64"])
    tried = [[known[name], *arguments] for name, *arguments, _ in TRIED]
    script = f"{CALLS}\nprint(json.dumps([call(*item) for item in {json.dumps(tried)}]))"
    found = json.loads(podman("exec", plain, "/usr/bin/python3", "-c", script).out)
    refused = {errno.EPERM, errno.ENOSYS}
    assert [number in refused for number in found] == [each[-1] for each in TRIED], found


@pytest.mark.needs("podman", "host-python")
def test_what_podman_shares_with_the_host_is_what_the_table_says(podman: Podman, plain: str) -> None:
    kinds = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
    links = [f"readlink /proc/self/ns/{kind}" for kind in kinds]
    inside = podman("exec", plain, "sh", "-c", "; ".join(links)).out.split()
    shared = {kind for kind, link in zip(kinds, inside, strict=True) if os.readlink(f"/proc/self/ns/{kind}") == link}
    assert shared == ({"user"} if cgroups.layout().unified else {"user", "cgroup"})
    masked = "wc -c </proc/keys; wc -c </proc/timer_list; ls /sys/firmware | wc -l; echo 1 >/proc/sys/kernel/panic"
    done = podman("exec", plain, "sh", "-c", masked, check=False)
    assert done.out.split() == ["0", "0", "0"] and "Read-only" in done.err


@pytest.mark.needs("podman", "host-python")
def test_what_is_left_of_podman_s_runtime_is_what_the_table_says(own_podman: Podman) -> None:
    """Its keyrings, its descriptors and its executable, which are crun's work."""
    keyring = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))"
    python = ("localhost/busybox", "/usr/bin/python3", "-c")
    first, second = (int(own_podman.run("--rm", *BINDS, *python, keyring).out) for _ in range(2))
    assert first > 0 and second > 0 and first != second
    descriptors = ("ls", "/proc/self/fd")  # the last is that of the directory
    assert own_podman.run("--rm", "localhost/busybox", *descriptors).out.split() == ["0", "1", "2", "3"]
    flags = ("-d", "--name", "hunted", "--cap-add", "SYS_PTRACE", "--security-opt", "seccomp=unconfined")
    own_podman.run(*flags, *BINDS, *python, HUNTER)
    while own_podman("exec", "hunted", *descriptors, check=False).out == "0\n1\n2\n3\n":
        pass
    own_podman("wait", "hunted")
    inode = os.stat(shutil.which("crun") or "").st_ino
    assert own_podman("logs", "hunted")[1:] == (f"{inode}\n", "Read-only file system\n"), "crun through a mount"


@pytest.mark.cgroup2
@pytest.mark.needs("podman", "apparmor")
@pytest.mark.parametrize("own", [True, False])
def test_podman_s_apparmor_profile_is_what_the_table_says(own: bool) -> None:
    """With Debian's runtime, and with ours in its place."""
    with set_up(own=own) as podman:
        seen = podman.run("--rm", "localhost/busybox", "cat", "/proc/self/attr/current").out
        assert re.fullmatch(r"containers-default-[\d.]+ \(enforce\)\n?", seen.strip("\0")), seen
        told = podman.run("--rm", "--privileged", "localhost/busybox", "cat", "/proc/self/attr/current").out
        assert told.strip("\0\n") == "unconfined"


@pytest.mark.needs("podman")
def test_a_listener_that_podman_s_profile_names(podman: Podman, tmp_path: Path) -> None:
    path = tmp_path / "listener.sock"
    asks = {"names": ["rmdir"], "action": "SCMP_ACT_NOTIFY"}
    profile = tmp_path / "profile.json"
    content = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": str(path),
        "listenerMetadata": "x",
        "syscalls": [asks],
    }
    profile.write_text(json.dumps(content))
    with Listener(path) as listener, ThreadPoolExecutor() as threads:
        words = ("--rm", f"--security-opt=seccomp={profile}", "localhost/busybox", "rmdir", "/nonesuch")
        run = threads.submit(podman.run, *words, check=False)
        state = listener.answer(errno.EXDEV)
        done = run.result()
    assert state["metadata"] == "x" and state["state"]["status"] == "creating"
    assert done.code == 1 and "cross-device" in done.err.lower()


class PeerWithOurs(Peer):
    """Docker's daemon that knows our runtime."""

    def argv(self) -> list[str]:
        return [*super().argv(), f"--add-runtime=cove={PROGRAM}", "--default-runtime=cove"]


@pytest.fixture(scope="module")
def docker() -> Iterator[PeerWithOurs]:
    peer = PeerWithOurs(f"cove-test-{os.getpid()}-oci")
    try:
        peer.start()
        peer.load_base_image()
        yield peer
    finally:
        peer.close()


@pytest.mark.needs("dockerd")
def test_docker_runs_containers(docker: PeerWithOurs) -> None:
    done = docker.docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.code, done.out, done.err) == (7, "out\n", "err\n")
    assert docker.docker("run", "--rm", "busybox", "nonesuch", check=False).code == 127
    assert docker.docker("run", "--rm", "busybox", "/etc/passwd", check=False).code == 126
    status = docker.docker("run", "--rm", "busybox", "grep", "-E", "CapEff|Seccomp:", "/proc/self/status").out
    assert status.split() == ["CapEff:", "00000000a80425fb", "Seccomp:", "2"]
    assert "/dev/" in docker.docker("run", "--rm", "-t", "busybox", "tty").out
    assert re.search("inet 172", docker.docker("run", "--rm", "busybox", "ip", "addr").out)


@pytest.mark.needs("dockerd")
def test_docker_and_a_container_that_stays(docker: PeerWithOurs) -> None:
    script = "trap 'exit 3' TERM; while :; do sleep 0.05; done"
    docker.docker("run", "-d", "--name", "box", "--memory", "64m", "--pids-limit", "50", "busybox", "sh", "-c", script)
    assert docker.docker("inspect", "-f", "{{.HostConfig.Runtime}}", "box").out == "cove\n"
    done = docker.docker("exec", "-e", "A=b", "box", "sh", "-c", "echo $A; exit 4", check=False)
    assert (done.code, done.out) == (4, "b\n")
    assert docker.docker("exec", "box", "nonesuch", check=False).code in (126, 127)
    assert "/dev/pts/" in docker.docker("exec", "-t", "box", "tty").out
    assert "64MiB" in docker.docker("stats", "--no-stream", "box").out
    assert "sleep" in docker.docker("top", "box").out
    docker.docker("pause", "box")
    docker.docker("unpause", "box")
    docker.docker("update", "--memory", "80m", "--memory-swap", "80m", "box")
    assert "80MiB" in docker.docker("stats", "--no-stream", "box").out
    docker.docker("stop", "-t", "10", "box")
    assert docker.docker("inspect", "-f", "{{.State.ExitCode}}", "box").out == "3\n"
    docker.docker("start", "box")
    docker.docker("rm", "-f", "box")


@pytest.mark.needs("dockerd")
def test_docker_kills_what_takes_too_much_memory(docker: PeerWithOurs) -> None:
    script = "tail -c 200m /dev/zero"
    done = docker.docker(
        "run", "--name", "big", "--memory", "20m", "--memory-swap", "20m", "busybox", "sh", "-c", script, check=False
    )
    assert done.code == 137
