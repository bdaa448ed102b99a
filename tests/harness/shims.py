"""A real shim around a real program, without privileges: no namespaces, no control groups, no root file system.

``Unisolated`` speaks a forked child's part of the channel as init and join do, and executes the program on this
machine. Its control group is what a subreaper can see: the shim's descendants.
"""

import json
import os
import pty
import signal
import socket
import struct
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from cove.kernel import processes, tty
from cove.kernel.cgroups import Cgroup, Hierarchy, Layout
from cove.oci.runtime import Process, Spec
from cove.runtime import channel, messages, shim
from cove.runtime.isolation import Isolation
from cove.runtime.namespaces import Target
from cove.runtime.process import Stdio

PATIENCE = 10.0
"""Seconds after which a test fails that waits for what must come."""

M = TypeVar("M")


class Descendants(Cgroup):
    """The processes below the shim that made this; a limit is written to the file ``limits/pids.max``."""

    def __init__(self, removed: Path) -> None:
        super().__init__(Layout((Hierarchy(str(removed.parent), 1, ("pids",), ""),), unified=False), "/limits")
        self._root = os.getpid()
        self._removed = removed

    def join(self) -> None:
        """Nothing to do: a child is a descendant."""

    def pids(self) -> list[int]:
        found = []
        waiting = [self._root]
        while waiting:
            children = _children(waiting.pop())
            found += children
            waiting += children
        return found

    def oom_kills(self) -> int:
        return 0

    def kill(self) -> None:
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        self._removed.touch()


def _children(pid: int) -> list[int]:
    try:
        found = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [child for child in found if Path(f"/proc/{child}/stat").read_text().rsplit(")")[1].split()[0] != "Z"]
    except OSError:
        return []


class Unisolated(Isolation):
    def __init__(self, directory: Path) -> None:
        self.cgroup_removed = directory / "cgroup-removed"

    def cgroup(self, path: str) -> Cgroup:
        if path == "/refused":
            raise OSError(28, "No space left on device", "/sys/fs/cgroup/refused")
        return Descendants(self.cgroup_removed)

    def enter_pid(self, spec: Spec) -> None:
        """There is none to enter."""

    def open_target(self, pid: int, spec: Spec) -> Target:
        return Target(*[os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC) for _ in Target._fields])

    def init(
        self, spec: Spec, start: messages.StartShim, group: Cgroup, stdio: Stdio, channel_: socket.socket
    ) -> NoReturn:
        processes.set_parent_death_signal(signal.SIGKILL)
        processes.close_all_but([0, 1, 2, channel_.fileno(), *(fd for fd in stdio if fd is not None)])
        with open("/proc/self/ns/net") as network:
            channel.send(channel_, channel.Namespaces(), network.fileno())
        self._execute(spec["process"], stdio, channel_, start.await_network)

    def join(self, target: Target, process: Process, group: Cgroup, stdio: Stdio, channel_: socket.socket) -> NoReturn:
        processes.set_parent_death_signal(signal.SIGKILL)
        processes.close_all_but([0, 1, 2, channel_.fileno(), *(fd for fd in stdio if fd is not None)])
        self._execute(process, stdio, channel_, False)

    def _execute(self, process: Process, stdio: Stdio, channel_: socket.socket, await_network: bool) -> NoReturn:
        os.setsid()
        ends = self._terminal(channel_) if process.get("terminal") else stdio
        if await_network:
            channel.receive(channel_)
        processes.reset_signals()
        for number, end in enumerate(ends):
            assert end is not None
            os.dup2(end, number)
        try:
            os.execvp(process["args"][0], process["args"])
        except OSError as error:
            channel.send(channel_, channel.Failure(127, f"exec: {process['args'][0]!r}: {error.strerror}"))
            os._exit(127)

    def _terminal(self, channel_: socket.socket) -> tuple[int, int, int]:
        master, slave = pty.openpty()
        tty.make_controlling(slave)
        channel.send(channel_, channel.Console(), master)
        return slave, slave, slave


class Client:
    """The daemon's end of an attachment."""

    def __init__(self, stdin: bool = True, stdout: bool = True, stderr: bool = True, detach_keys: str = "") -> None:
        self.socket, self.theirs = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self.wish = messages.Attachment(
            attach_id=str(id(self)), stdin=stdin, stdout=stdout, stderr=stderr, detach_keys=detach_keys
        )

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def read(self, until: bytes | None = None) -> bytes:
        """All to the end of the stream, or to ``until``."""
        data = b""
        while (until is None or until not in data) and (chunk := self.socket.recv(1 << 16)):
            data += chunk
        return data

    def frames(self) -> dict[int, bytes]:
        """All to the end of the stream, by stream number. Fails on a torn frame."""
        data = self.read()
        streams: dict[int, bytes] = {}
        while data:
            number, length = struct.unpack(">BxxxL", data[:8])
            assert len(data) >= 8 + length
            streams[number] = streams.get(number, b"") + data[8 : 8 + length]
            data = data[8 + length :]
        return streams

    def close(self) -> None:
        self.socket.close()


class RunningShim:
    """A shim that was started; ``control`` is the daemon's end of its control socket."""

    def __init__(self, directory: Path, args: list[str], clients: list[Client] | None = None, **changes: Any) -> None:
        """``changes``: fields of StartShim, or ``terminal``, ``cgroup``."""
        self.directory = directory
        self.log = directory / "container.log"
        self.isolation = Unisolated(directory)
        self._write_config(args, changes.pop("terminal", False), changes.pop("cgroup", "/test"))
        clients = clients or []
        self._clients = list(clients)
        start = messages.StartShim(
            container_id="c0ffee",
            run_dir=str(directory),
            root=None,
            log={"driver": "json-file", "path": str(self.log), "max_size": 0, "max_file": 0},
            stdin=False,
            stdin_once=False,
            init=False,
            await_network=False,
            attachments=[client.wish for client in clients],
        )._replace(**changes)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(PATIENCE)
        self.pid = self._fork(start, theirs, [client.theirs.detach() for client in clients])
        self._request = 0

    def expect(self, kind: type[M], connection: socket.socket | None = None) -> M:
        """The next message, which must be of this kind. Its descriptors are closed."""
        received = messages.receive(connection or self.control)
        assert received is not None, f"the shim is gone; expected {kind.__name__}"
        for descriptor in received[1]:
            os.close(descriptor)
        assert isinstance(received[0], kind), received[0]
        return received[0]

    def started(self) -> messages.Started:
        self.expect(messages.Created)
        return self.expect(messages.Started)

    def descriptors(self) -> int:
        """How many it has open, once it has done what it had to do so far."""
        self.ask(messages.Query(0))
        self.expect(messages.State)
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def ask(self, message: messages.Message, *descriptors: int) -> None:
        messages.send(self.control, message, list(descriptors))
        for descriptor in descriptors:
            os.close(descriptor)

    def attach(self, client: Client) -> None:
        self._clients.append(client)
        self.ask(messages.Attach(1, client.wish), client.theirs.detach())
        self.expect(messages.Done)

    def exec(self, exec_id: str, args: list[str], client: Client | None = None, terminal: bool = False) -> None:
        """Ask for an exec; the answer is for ``expect``."""
        folder = self.directory / "exec"
        folder.mkdir(exist_ok=True)
        process = Process(args=args, cwd="/", terminal=terminal)
        (folder / f"{exec_id}.json").write_text(json.dumps(process))
        message = messages.Exec(7, exec_id, client.wish if client else None)
        self._clients += [client] if client else []
        self.ask(message, *([client.theirs.detach()] if client else []))

    def connect(self) -> socket.socket:
        """A further control connection, as a daemon makes it that comes back."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(PATIENCE)
        folder = os.open(self.directory, os.O_PATH)
        try:
            connection.connect(f"/proc/self/fd/{folder}/shim.sock")
        finally:
            os.close(folder)
        return connection

    def gone(self) -> None:
        """Wait for the shim's end, which must be a clean one."""
        self.control.settimeout(PATIENCE)
        while messages.receive(self.control) is not None:
            pass
        _pid, status = os.waitpid(self.pid, 0)
        self.pid = 0
        assert status == 0
        report = self.directory / "shim.log"
        assert not report.exists(), report.read_text()

    def close(self) -> None:
        """Kill what a failed test has left."""
        self.control.close()
        for client in self._clients:
            client.close()
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def log_lines(self) -> list[tuple[str, str]]:
        """Stream and text of each record."""
        records = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [(record["stream"], record["log"]) for record in records]

    def _write_config(self, args: list[str], terminal: bool, cgroup: str) -> None:
        spec = Spec(
            ociVersion="1.2.0",
            process=Process(args=args, cwd="/", terminal=terminal),
            root={"path": "/"},
            linux={"cgroupsPath": cgroup},
        )
        (self.directory / "config.json").write_text(json.dumps(spec))

    def _fork(self, start: messages.StartShim, control: socket.socket, streams: list[int]) -> int:
        pid = os.fork()
        if pid == 0:
            processes.close_all_but([0, 1, 2, control.fileno(), *streams])
            shim.ignore_signals()
            shim.main(start, control, streams, self.isolation)
        control.close()
        for stream in streams:
            os.close(stream)
        return pid
