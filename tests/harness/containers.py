"""Containers without a daemon: a process that does what a shim does around ``init`` and ``join``, and no more."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

from cove.kernel import cgroups
from cove.oci.runtime import Process, Spec
from cove.runtime import cgroup, channel, init, join, namespaces
from cove.runtime.channel import Console, Failure, Namespaces
from cove.runtime.messages import StartShim
from cove.runtime.process import Stdio

PARENT = f"cove-test-{os.getpid()}"
CAPABILITIES = [
    f"CAP_{name}"
    for name in "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP "
    "NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE".split()
]
_DEVICES = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)]


class Outcome(NamedTuple):
    """``code``: as a shell reports it. ``failure``: what came back before execve, or None. ``execs``: of each join."""

    code: int
    output: str
    failure: Failure | None
    execs: list["Outcome"]


def busybox_root(path: Path) -> Path:
    """A root with busybox, a link for each applet, and accounts."""
    program = shutil.which("busybox")
    assert program is not None, "busybox-static is not installed"
    for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "home"):
        (path / name).mkdir(parents=True)
    shutil.copy(program, path / "bin/busybox")
    for applet in subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            (path / "bin" / applet).symlink_to("busybox")
    (path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001:Ann:/home/ann:/bin/sh\n")
    (path / "etc/group").write_text("root:x:0:\nann:x:1001:\nmusic:x:44:bob,ann\nwheel:x:10:root\n")
    return path


def process(*args: str, **changes: Any) -> Process:
    plain: Process = {
        "args": list(args),
        "cwd": "/",
        "env": ["PATH=/bin"],
        "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
    }
    return {**plain, **changes}  # type: ignore[typeddict-item]


class Container:
    """One container over a root of layers; ``directory`` takes what it writes (``upper``)."""

    def __init__(self, directory: Path, *lower: Path) -> None:
        self.upper = directory / "upper"
        for path in (directory / "root", directory / "work", self.upper):
            path.mkdir(parents=True)
        self.start = StartShim(
            container_id="test",
            run_dir=str(directory),
            root={"lower": [str(path) for path in lower], "upper": str(self.upper), "work": str(directory / "work")},
            log={"driver": "none", "path": "", "max_size": 0, "max_file": 0},
            stdin=False,
            stdin_once=False,
            init=False,
            await_network=False,
            attachments=[],
        )
        self.spec = _spec(str(directory / "root"))
        self.timings: dict[str, float] = {}
        self.interfaces: list[dict[str, Any]] = []

    def run(self, *args: str, execs: tuple[Process, ...] = (), **changes: Any) -> Outcome:
        """Run a program to its end; with ``execs`` first each of them, then the program is killed."""
        self.spec["process"] = process(*args, **changes)
        return self.go(execs)

    def go(self, execs: tuple[Process, ...] = ()) -> Outcome:
        cgroups.layout()
        reader, writer = os.pipe()
        began = time.perf_counter()
        shim = os.fork()
        if shim == 0:
            try:
                os.setpgid(0, 0)
                os.write(writer, json.dumps(self._shim(execs)).encode())
            except BaseException as error:
                os.write(writer, json.dumps({"error": repr(error)}).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader, "rb") as answers:
            answer = json.loads(answers.read())
        os.waitpid(shim, 0)
        assert "error" not in answer, answer
        self.timings = {**answer["timings"], "all": time.perf_counter() - began}
        return _outcome(answer)

    def outlives_its_shim(self, *args: str, **changes: Any) -> bool:
        """Whether a program is still there ten seconds after its shim was killed."""
        self.spec["process"] = process(*args, **changes)
        cgroups.layout()
        reader, writer = os.pipe()
        shim = os.fork()
        if shim == 0:
            try:
                self._start_and_die(writer)
            finally:
                os._exit(1)
        os.close(writer)
        os.waitpid(shim, 0)
        with open(reader, "rb") as answer:
            pid = int(answer.read())
        try:
            ended, _, _ = select.select([os.pidfd_open(pid)], [], [], 10)
        except ProcessLookupError:
            ended = [pid]
        group = cgroup.load(self.spec["linux"]["cgroupsPath"])
        group.kill()
        group.remove()
        return not ended

    def _start_and_die(self, writer: int) -> None:
        group = cgroup.load(self.spec["linux"]["cgroupsPath"])
        namespaces.enter_pid(self.spec)
        child = _Child(False, lambda stdio, end: init.main(self.spec, self.start, group, stdio, end))
        assert child.await_start() is None
        os.write(writer, str(child.pid).encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def _shim(self, execs: tuple[Process, ...]) -> dict[str, Any]:
        clock = [time.perf_counter()]
        group = cgroup.load(self.spec["linux"]["cgroupsPath"])
        namespaces.enter_pid(self.spec)
        clock.append(time.perf_counter())
        first = _Child(
            bool(self.spec["process"].get("terminal")),
            lambda stdio, end: init.main(self.spec, self.start, group, stdio, end),
        )
        failure = first.await_start(self.interfaces if self.start.await_network else None)
        clock.append(time.perf_counter())
        answers = []
        if failure is None and execs:
            target = namespaces.open_target(first.pid, self.spec)
            for wanted in execs:
                answers.append(_run_exec(target, wanted, group))
            os.kill(first.pid, signal.SIGKILL)
        answer = {**first.end(failure), "execs": answers}
        clock.append(time.perf_counter())
        group.remove()
        clock.append(time.perf_counter())
        names = ("cgroup", "execve", "program", "removal")
        answer["timings"] = {name: clock[n + 1] - clock[n] for n, name in enumerate(names)}
        return answer


class _Child:
    """A forked child, its channel and its output."""

    def __init__(self, terminal: bool, main: Any) -> None:
        self.channel, other = channel.pair()
        self.output, streams = -1, Stdio(None, None, None)
        if not terminal:
            self.output, writer = os.pipe()
            streams = Stdio(None, writer, writer)
        self.pid = os.fork()
        if self.pid == 0:
            main(streams, other)
        other.close()
        if not terminal:
            os.close(writer)

    def await_start(self, interfaces: list[dict[str, Any]] | None = None) -> Failure | None:
        while (received := _receive(self.channel)) is not None:
            message, descriptor = received
            if isinstance(message, Failure):
                return message
            if isinstance(message, Console):
                assert descriptor is not None
                self.output = descriptor
            elif descriptor is not None:
                os.close(descriptor)
            if isinstance(message, Namespaces) and interfaces is not None:
                channel.send(self.channel, channel.Interfaces(interfaces))  # type: ignore[arg-type]
        return None

    def end(self, failure: Failure | None) -> dict[str, Any]:
        output = _read_all(self.output) if self.output >= 0 else ""
        _pid, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return {"code": code if code >= 0 else 128 - code, "output": output, "failure": failure, "execs": []}


def _run_exec(target: namespaces.Target, wanted: Process, group: cgroups.Cgroup) -> dict[str, Any]:
    child = _Child(bool(wanted.get("terminal")), lambda stdio, end: join.main(target, wanted, group, stdio, end))
    return child.end(child.await_start())


def _receive(end: socket.socket) -> Any:
    try:
        return channel.receive(end)
    except ConnectionResetError:  # the child ended with something unread
        return None


def _read_all(descriptor: int) -> str:
    data = bytearray()
    while True:
        ready, _, _ = select.select([descriptor], [], [], 20)
        assert ready, f"no end of the output after {bytes(data)!r}"
        try:
            chunk = os.read(descriptor, 1 << 16)
        except OSError:  # EIO: the last process has closed the terminal
            break
        if not chunk:
            break
        data += chunk
    os.close(descriptor)
    return data.decode(errors="replace")


def _outcome(answer: dict[str, Any]) -> Outcome:
    failure = Failure(*answer["failure"]) if answer["failure"] else None
    return Outcome(answer["code"], answer["output"], failure, [_outcome(entry) for entry in answer["execs"]])


def _spec(root: str) -> Spec:
    rules = [{"allow": False, "access": "rwm"}]
    rules += [
        {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"} for major, minor in _DEVICES
    ]
    rules.append({"allow": True, "type": "c", "major": 136, "access": "rwm"})
    return {
        "ociVersion": "1.2.0",
        "hostname": "box",
        "process": process("true"),
        "root": {"path": root},
        "mounts": [
            _mount("/proc", "proc", "proc", "nosuid,noexec,nodev"),
            _mount("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
            _mount("/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
            _mount("/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"),
            _mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro,nosuid,noexec,nodev"),
            _mount("/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"),
            _mount("/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=67108864"),
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "mount", "network", "uts", "ipc", "cgroup")],
            "cgroupsPath": f"/{PARENT}/box",
            "resources": {"devices": rules},  # type: ignore[typeddict-item]
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }


def _mount(destination: str, kind: str, source: str, options: str) -> Any:
    return {"destination": destination, "type": kind, "source": source, "options": options.split(",")}


def remove_parent() -> None:
    """Remove the control group that the containers of this process were in."""
    for hierarchy in cgroups.layout().hierarchies:
        directory = Path(hierarchy.mount_point) / PARENT
        if directory.exists():
            directory.rmdir()
