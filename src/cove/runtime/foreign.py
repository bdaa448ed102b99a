"""A container that another OCI runtime runs (crun, runc, a path): the shim is as for any other, and this drives the

runtime for it. Loaded by the shims of such containers only.

::

    shim                    driver (forked)                       runtime
      │ fork ────────────────▶│ mount namespace of its own, root    │
      │                       │ create ────────────────────────────▶│ init waits
      │◀── Moved (init) ──────│                                     │
      │◀── Namespaces ────────│                                     │
      │ ── Interfaces ───────▶│ links                               │
      │                       │ start ─────────────────────────────▶│ init is the program
      │◀── Ready ─────────────│ exits                               │

The root is mounted in the driver's mount namespace, of which the runtime makes the container's: nothing of it is seen
on the host, and it goes with the last process. An exec has a driver too, which stays until the runtime's ``exec`` ends.
"""

import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from cove.kernel import cgroups, layer_images, mounts, processes, tty
from cove.kernel import namespaces as kernel_namespaces
from cove.kernel.cgroups import Cgroup
from cove.oci.runtime import Process, Spec
from cove.runtime import channel as channels
from cove.runtime import links, namespaces, rootfs, user
from cove.runtime import process as processing
from cove.runtime.channel import Console, Interfaces, Moved, Namespaces, Program, Ready
from cove.runtime.child import Child
from cove.runtime.isolation import Isolation
from cove.runtime.messages import ForeignRuntime, SeccompFilter, StartShim
from cove.runtime.namespaces import Target
from cove.runtime.process import CANNOT_INVOKE, CANNOT_START, NOT_FOUND, CannotStart, Stdio

_NOTHING = Stdio(None, None, None)
_ERRNO_WORDS = ("No such file or directory", "Permission denied", "Is a directory")
_OCI_VERSION = "1.0.2"
"""Older runtimes refuse newer ones, of which the engine's configurations use nothing."""

_LOOK = 0.003  # seconds between looks for a pid file, which nobody announces
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Foreign(Isolation):
    """What a shim asks of a container whose runtime is another one."""

    def __init__(self, start: StartShim, runtime: ForeignRuntime) -> None:
        super().__init__()
        self._runtime = Runtime(runtime, start.container_id, start.run_dir)
        self._pid = 0

    def cgroup(self, path: str) -> Cgroup:
        group = super().cgroup(path)
        if group.unit:
            self._runtime.use_systemd()
        return group

    def confine(self, filter_: SeccompFilter | None) -> None:
        """The runtime does that, from its configuration."""

    def enter_pid(self, spec: Spec) -> None:
        """The runtime makes its namespaces by itself."""

    def open_target(self, pid: int, spec: Spec) -> Target:
        self._pid = pid
        return namespaces.open_target(pid, spec)

    def signal(self, child: Child, number: int) -> None:
        """By the runtime, which knows best; where it refuses, the process itself says whether it is there."""
        if not child.running:
            raise ProcessLookupError("the process has ended")
        if not self._pid or self._runtime.call(["kill", self._runtime.id, str(number)]):
            child.signal(number)

    def ended(self) -> None:
        """Have the runtime forget the container."""
        self._runtime.call(["delete", "--force", self._runtime.id])

    def init(self, spec: Spec, start: StartShim, group: Cgroup, stdio: Stdio, channel: socket.socket) -> NoReturn:
        layers = layer_images.forget_others(start.root["lower"] if start.root is not None else ())
        _drive(channel, stdio, layers, lambda: _Start(self._runtime, spec, start, stdio, channel).run())

    def join(self, target: Target, process: Process, group: Cgroup, stdio: Stdio, channel: socket.socket) -> NoReturn:
        _drive(channel, stdio, (), lambda: _Exec(self._runtime, self._pid, process, stdio, channel).run())


class Runtime:
    """The other runtime's command line. What it keeps lies in the run directory, and goes with that."""

    def __init__(self, runtime: ForeignRuntime, container_id: str, run_dir: str) -> None:
        self.id = container_id
        self.directory = run_dir
        self._log = f"{run_dir}/runtime.log"
        self._argv = [runtime["path"], *runtime["arguments"], "--root", f"{run_dir}/runtime", "--log", self._log]
        self._argv += ["--log-format", "json"]

    def use_systemd(self) -> None:
        """Have it make the control group as a unit, as the configuration names it."""
        self._argv.append("--systemd-cgroup")

    def call(self, words: Sequence[str], stdio: Stdio = _NOTHING) -> int:
        """Carry out a command, and wait for it; its exit code."""
        _pid, status = os.waitpid(self.fork(words, stdio), 0)
        return os.waitstatus_to_exitcode(status)

    def fork(self, words: Sequence[str], stdio: Stdio = _NOTHING) -> int:
        """Begin a command; its process id. Raises OSError."""
        pid = os.fork()
        if pid == 0:
            self._become([*self._argv, *words], stdio)
        return pid

    def check(self, words: Sequence[str], stdio: Stdio = _NOTHING) -> None:
        """Raises CannotStart with the runtime's words."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._log)
        code = self.call(words, stdio)
        if code:
            raise self.failure(f"{self._argv[0]} {words[0]}: exit status {code}")

    def failure(self, otherwise: str) -> CannotStart:
        """What the log ends with, and the exit code that Docker makes of such words."""
        message = self._last_error() or otherwise
        for words in _ERRNO_WORDS:  # clients look for them as Go has them
            message = message.replace(words, words.lower())
        lower = message.lower()
        code = CANNOT_START
        if "permission denied" in lower or "is a directory" in lower or "exec format error" in lower:
            code = CANNOT_INVOKE
        if "executable file" in lower or "no such file or directory" in lower:
            code = NOT_FOUND
        return CannotStart(code, message)

    def _last_error(self) -> str:
        try:
            with open(self._log, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            return ""
        for line in reversed(lines):
            with contextlib.suppress(ValueError, AttributeError):
                entry = json.loads(line)
                if entry.get("level") == "error":
                    return str(entry.get("msg", ""))
        return ""

    def _become(self, argv: list[str], stdio: Stdio) -> NoReturn:
        try:
            processes.reset_signals()
            _leave_mounts()
            bundle = f"{self.directory}/bundle"
            os.chdir(bundle if os.path.isdir(bundle) else self.directory)
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            sources = [null if stream is None else stream for stream in stdio]
            for number, source in enumerate([os.dup(source) for source in sources]):
                os.dup2(source, number, inheritable=True)
            processes.close_on_exec_from(3)
            os.execve(argv[0], argv, {"PATH": _PATH})
        except OSError as error:
            with open(self._log, "a", encoding="utf-8") as log:
                log.write(json.dumps({"level": "error", "msg": f"{argv[0]}: {error.strerror}"}) + "\n")
        finally:
            os._exit(CANNOT_INVOKE)


class _Start(NamedTuple):
    """The driver of a container's start."""

    runtime: Runtime
    spec: Spec
    start: StartShim
    stdio: Stdio
    channel: socket.socket

    def run(self) -> None:
        self._write_bundle()
        words = ["create", "--bundle", self._bundle, "--pid-file", f"{self.runtime.directory}/init.pid"]
        with _console(self.runtime, "console.sock" if self.spec["process"].get("terminal") else "") as console:
            more = [] if console is None else ["--console-socket", "console.sock"]
            self.runtime.check([*words, *more, self.runtime.id], self.stdio)
            try:
                self._announce(console)
                self._connect()
                self.runtime.check(["start", self.runtime.id])
            except BaseException:
                self.runtime.call(["delete", "--force", self.runtime.id])
                raise
        channels.send(self.channel, Ready())

    @property
    def _bundle(self) -> str:
        return f"{self.runtime.directory}/bundle"

    def _write_bundle(self) -> None:
        """Mount the root where nobody else sees it, and say by numbers who the program is in it."""
        kernel_namespaces.unshare(["mount"])
        mounts.set_propagation("/", mounts.SLAVE)
        if self.start.staged:
            from cove.kernel import staged_mounts

            staged_mounts.attach_all([staged_mounts.StagedMount(*fields) for fields in self.start.staged])
        root = rootfs.mount_root(self.start.root, self.spec["root"]["path"])
        layer_images.forget_all()
        if any(entry.get("matchUser") for entry in self.spec.get("mounts", [])):
            from cove.runtime import owners

            owners.match(self.spec, root)
        self.spec["process"] = _numeric(self.spec["process"], root)
        self.spec["ociVersion"] = _OCI_VERSION
        os.close(root)
        os.makedirs(self._bundle, mode=0o700, exist_ok=True)
        with open(f"{self._bundle}/config.json", "w", encoding="utf-8") as file:
            file.write(json.dumps(self.spec))

    def _announce(self, console: socket.socket | None) -> None:
        with open(f"{self.runtime.directory}/init.pid", encoding="ascii") as file:
            pid = int(file.read())
        channels.send(self.channel, Moved(pid, driven=True))
        network = kernel_namespaces.open_namespace(pid, "network")
        channels.send(self.channel, Namespaces(), network)
        os.close(network)
        if console is not None:
            master = _receive_master(console)
            channels.send(self.channel, Console(), master)
            os.close(master)

    def _connect(self) -> None:
        if not self.start.await_network:
            return
        received = channels.receive(self.channel)
        if received is None or not isinstance(received[0], Interfaces):
            raise CannotStart(CANNOT_START, "the start was cancelled")
        with open(f"{self.runtime.directory}/init.pid", encoding="ascii") as file:
            pid = int(file.read())
        own = kernel_namespaces.open_namespace(os.getpid(), "network")
        kernel_namespaces.enter_path(f"/proc/{pid}/ns/net", "network")
        links.set_up(received[0].interfaces)
        kernel_namespaces.enter(own, "network")
        os.close(own)


class _Exec(NamedTuple):
    """The driver of an exec: it ends as the exec does."""

    runtime: Runtime
    init: int
    process: Process
    stdio: Stdio
    channel: socket.socket

    def run(self) -> None:
        base = f"{self.runtime.directory}/exec/{os.getpid()}"
        root = os.open(f"/proc/{self.init}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        process = _numeric(self.process, root)
        os.close(root)
        with open(f"{base}.process", "w", encoding="utf-8") as file:
            file.write(json.dumps(process))
        words = ["exec", "--process", f"{base}.process", "--pid-file", f"{base}.pid"]
        code = self._on_terminal(words, process, base) if process.get("terminal") else self._on_pipes(words, base)
        for suffix in ("process", "pid"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{base}.{suffix}")
        os._exit(code)

    def _on_pipes(self, words: list[str], base: str) -> int:
        pid = self.runtime.fork([*words, self.runtime.id], self.stdio)
        for stream in self.stdio:
            if stream is not None:
                with contextlib.suppress(OSError):
                    os.close(stream)
        return self._follow(pid, f"{base}.pid")

    def _on_terminal(self, words: list[str], process: Process, base: str) -> int:
        """The runtime gives the terminal away and goes; the program is this process's to wait for.

        Were it to stay and copy, the last output could be lost with it (crun 1.8).
        """
        processes.set_child_subreaper()
        name = f"exec-{os.getpid()}.sock"
        with _console(self.runtime, name) as console:
            code = self.runtime.call([*words, "--detach", "--console-socket", name, self.runtime.id])
            if code:
                raise self.runtime.failure(f"exec: exit status {code}")
            master = _receive_master(console)
        if size := process.get("consoleSize"):
            tty.set_window_size(master, size["height"], size["width"])
        channels.send(self.channel, Console(), master)
        os.close(master)
        with open(f"{base}.pid", encoding="ascii") as file:
            pid = int(file.read())
        channels.send(self.channel, Program(pid))
        channels.send(self.channel, Ready())
        self.channel.close()
        _pid, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _follow(self, pid: int, pid_file: str) -> int:
        """Until the runtime's command ends. Raises CannotStart when it does before the program has begun."""
        command = os.pidfd_open(pid)
        program = None
        while program is None:
            ended = bool(select.select([command], [], [], _LOOK)[0])
            program = _written(pid_file)
            if ended:
                break
        if program is not None:
            channels.send(self.channel, Program(program))
            channels.send(self.channel, Ready())
            self.channel.close()
        _pid, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if program is None:
            raise self.runtime.failure(f"exec: exit status {code}")
        return code if code >= 0 else 128 - code


def _written(pid_file: str) -> int | None:
    """What is in it; None before the runtime has made it, or while it does."""
    try:
        with open(pid_file, encoding="ascii") as file:
            return int(file.read() or 0) or None
    except FileNotFoundError:
        return None


def _drive(channel: socket.socket, stdio: Stdio, layers: Sequence[int], body: Callable[[], None]) -> NoReturn:
    """Be a driver: nothing but its own descriptors, and no longer there than the shim."""
    try:
        streams = [stream for stream in stdio if stream is not None]
        processes.close_all_but([0, 1, 2, channel.fileno(), *streams, *layers])
        processes.set_parent_death_signal(signal.SIGKILL)
        processes.reset_signals()
        body()
        os._exit(0)
    except BaseException as error:
        processing.fail(channel, error)


def _numeric(process: Process, root: int) -> Process:
    """With the user by number, as it is in the container's root, and its home."""
    identity = user.resolve(root, process.get("user", {}))
    numbers: Any = {"uid": identity.uid, "gid": identity.gid}
    numbers["additionalGids"] = [group for group in identity.groups if group != identity.gid]
    variables = processing.environment(process, identity)
    return {**process, "user": numbers, "env": [f"{name}={value}" for name, value in variables.items()]}


def _leave_mounts() -> None:
    """Hide version 2 where version 1 has the controllers: that is what limits are put in, and crun takes no mixture."""
    found = [entry for entry in cgroups.version2_mounts() if not cgroups.layout().unified]
    if found:
        kernel_namespaces.unshare(["mount"])
        mounts.set_propagation("/", mounts.SLAVE)
        for path in found:
            mounts.unmount(path)


@contextlib.contextmanager
def _console(runtime: Runtime, name: str) -> Any:
    """A socket that takes the master of a terminal, by its name in the bundle, which is short; None without a name."""
    if not name:
        yield None
        return
    os.chdir(f"{runtime.directory}/bundle")  # where runtimes go by themselves
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as listener:
        listener.bind(name)
        try:
            listener.listen(1)
            yield listener
        finally:
            os.unlink(name)


def _receive_master(listener: socket.socket) -> int:
    listener.settimeout(5.0)
    connection, _address = listener.accept()
    with connection:
        _name, descriptors, _flags, _address = socket.recv_fds(connection, 4096, 1)
    if not descriptors:
        raise CannotStart(CANNOT_START, "the runtime sent no terminal")
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]
