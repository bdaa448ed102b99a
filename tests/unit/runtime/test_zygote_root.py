"""True containers through the whole chain: a sealed zygote, a shim, namespaces, a busybox root."""

import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cove.kernel import cgroups
from cove.runtime import exit_record, launch, messages
from harness import containers
from harness.shims import PATIENCE, Client, M
from harness.waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.needs("overlay", "mqueue")]


class Zygote:
    def __init__(self) -> None:
        self.socket, self.process = launch.spawn_zygote()
        self.pid = self.process.pid

    def close(self) -> None:
        self.socket.close()
        assert self.process.wait() == 0


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    zygote = Zygote()
    yield zygote
    zygote.close()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield containers.busybox_root(tmp_path_factory.mktemp("base") / "root")
    containers.remove_parent()


def test_it_inherits_no_ignored_signal() -> None:
    """What it ignores, programs would: only those that it changes itself are reset for them."""
    former = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        zygote = Zygote()
        eventually(lambda: Path(f"/proc/{zygote.pid}/comm").read_text() == "cove-zygote\n")
        status = Path(f"/proc/{zygote.pid}/status").read_text()
        zygote.close()
    finally:
        signal.signal(signal.SIGTTOU, former)
    (ignored,) = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn:")]
    assert not ignored >> (signal.SIGTTOU - 1) & 1
    assert not ignored >> 31 & 0b11  # 32 and 33, the C library's own


class Box:
    """One container below a zygote. ``control`` is the daemon's end of the shim's control socket."""

    def __init__(self, zygote: Zygote, directory: Path, base: Path) -> None:
        self.container = containers.Container(directory, base)
        self.directory = directory
        self._zygote = zygote
        self.control = socket.socket()

    def start(self, *args: str, clients: tuple[Client, ...] = (), **changes: Any) -> None:
        process = {name: changes.pop(name) for name in ("terminal", "user", "consoleSize") if name in changes}
        self.container.spec["process"] = containers.process(*args, **process)
        (self.directory / "config.json").write_text(json.dumps(self.container.spec))
        self.control.close()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(PATIENCE)
        start = self.container.start._replace(attachments=[client.wish for client in clients], **changes)
        streams = [client.theirs.detach() for client in clients]
        with theirs:
            messages.send(self._zygote.socket, start, [theirs.fileno(), *streams])
        for stream in streams:
            os.close(stream)

    def expect(self, kind: type[M]) -> M:
        received = messages.receive(self.control)
        assert received is not None
        if isinstance(received[0], messages.KilledForMemory) and kind is not messages.KilledForMemory:
            return self.expect(kind)  # told of before the end, unless the shim sees both at once
        for descriptor in received[1]:
            os.close(descriptor)
        assert isinstance(received[0], kind), received[0]
        return received[0]

    def exec(self, exec_id: str, client: Client, *args: str, **changes: Any) -> None:
        (self.directory / "exec").mkdir(exist_ok=True)
        (self.directory / "exec" / f"{exec_id}.json").write_text(json.dumps(containers.process(*args, **changes)))
        stream = client.theirs.detach()
        messages.send(self.control, messages.Exec(1, exec_id, client.wish), [stream])
        os.close(stream)

    def ended(self) -> messages.Exited:
        """Wait for the end, after which nothing may be left."""
        received = messages.receive(self.control)
        while received is not None and isinstance(received[0], messages.KilledForMemory):  # may come in time, or not
            received = messages.receive(self.control)
        assert received is not None
        exited = received[0]
        assert isinstance(exited, messages.Exited), exited
        assert messages.receive(self.control) is None
        assert exit_record.read(str(self.directory)) == exited
        assert not (self.directory / "shim.log").exists()
        path = self.container.spec["linux"]["cgroupsPath"]
        assert not [at for at in cgroups.layout().hierarchies if os.path.exists(at.mount_point + path)]
        assert str(self.directory) not in Path("/proc/self/mountinfo").read_text()
        return exited

    def close(self) -> None:
        self.control.close()


@pytest.fixture
def box(zygote: Zygote, tmp_path: Path, base: Path) -> Iterator[Box]:
    box = Box(zygote, tmp_path / "box", base)
    yield box
    box.close()


def test_a_container_runs(box: Box) -> None:
    client = Client()
    box.start("sh", "-c", "hostname; echo $$; cat; exit 9", clients=[client], stdin=True, stdin_once=True)
    client.send(b"typed\n")
    client.half_close()
    assert client.frames() == {1: b"box\n1\ntyped\n"}
    assert box.expect(messages.Created).pid == box.expect(messages.Started).pid
    assert box.ended().exit_code == 9
    client.close()


def test_it_can_be_started_again_at_once(box: Box) -> None:
    for number in range(3):
        box.start(
            "sh",
            "-c",
            "ls /runs 2>/dev/null | wc -l; mkdir -p /runs; touch /runs/$(ls /runs | wc -l)",
            clients=[c := Client()],
        )
        assert c.frames() == {1: b"%d\n" % number}
        box.expect(messages.Created)
        box.expect(messages.Started)
        assert box.ended().exit_code == 0
        c.close()


def test_a_terminal(box: Box) -> None:
    client = Client(detach_keys="ctrl-p,ctrl-q")
    size = {"height": 30, "width": 90}
    box.start("sh", clients=[client], terminal=True, consoleSize=size, stdin=True)
    box.expect(messages.Created)
    box.expect(messages.Started)
    client.send(b"tty; stty size; echo a''b\n")
    assert b"/dev/pts/0\r\n30 90\r\n" in client.read(b"ab\r\n")
    messages.send(box.control, messages.Resize(1, None, 44, 101))
    box.expect(messages.Done)
    client.send(b"stty size; echo c''d\n")
    assert b"44 101\r\n" in client.read(b"cd\r\n")
    client.send(b"exit 3\n")
    client.read()
    assert box.ended().exit_code == 3
    client.close()


def test_execs_and_their_end(box: Box) -> None:
    box.start("sleep", "1000")
    box.expect(messages.Created)
    box.expect(messages.Started)
    client = Client()
    box.exec("e1", client, "sh", "-c", "id -u; cat; exit 4", user={"username": "ann"})
    box.expect(messages.Done)
    client.send(b"in")
    client.half_close()
    assert client.frames() == {1: b"1000\nin"}
    assert box.expect(messages.ExecExited) == messages.ExecExited("e1", 4)
    terminal = Client()
    box.exec("e2", terminal, "sh", "-c", "tty; sleep 1000", terminal=True)
    box.expect(messages.Done)
    assert terminal.read(b"\r\n") == b"/dev/pts/0\r\n"
    missing = Client()
    box.exec("e3", missing, "nothing")
    failed = box.expect(messages.Failed)
    assert (failed.exit_code, failed.message) == (127, 'exec: "nothing": executable file not found in $PATH')
    messages.send(box.control, messages.Signal(2, None, signal.SIGKILL, False))
    box.expect(messages.Done)
    assert box.expect(messages.ExecExited) == messages.ExecExited("e2", 137)
    assert box.ended().exit_code == 137
    for each in (client, terminal, missing):
        each.close()


def test_an_init_of_ours(box: Box) -> None:
    client = Client()
    box.start("sh", "-c", "cat /proc/1/comm; echo $$; exit 6", clients=[client], init=True)
    assert client.frames() == {1: b"init\n2\n"}
    box.expect(messages.Created)
    box.expect(messages.Started)
    assert box.ended().exit_code == 6
    client.close()


def test_a_program_that_is_not_there(box: Box) -> None:
    for init in (False, True):
        box.start("nothing", init=init)
        box.expect(messages.Created)
        failed = box.expect(messages.StartFailed)
        assert (failed.exit_code, failed.message) == (127, 'exec: "nothing": executable file not found in $PATH')
        assert messages.receive(box.control) is None


@pytest.mark.cgroup2
def test_a_process_too_many_is_killed_for_memory(box: Box) -> None:
    box.container.spec["linux"]["resources"]["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
    box.start("sh", "-c", "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo $x | wc -c")
    box.expect(messages.Created)
    box.expect(messages.Started)
    exited = box.ended()
    assert exited.oom_killed and exited.exit_code == 137


def test_the_network_is_set_up_before_and_while_the_program_runs(box: Box) -> None:
    client = Client()
    box.start("sh", "-c", "ip -o addr show lo; read x", clients=[client], stdin=True, await_network=True)
    box.expect(messages.Created)
    messages.send(box.control, messages.NetworkReady([]))
    box.expect(messages.Started)
    assert b"127.0.0.1/8" in client.read(b"scope host")
    lo: messages.Interface = {"name": "lo", "addresses": ["10.9.8.7/32"], "gateway4": None, "gateway6": None}
    messages.send(box.control, messages.ConfigureNetwork(4, [lo], ["gone0"], [None, None]))
    assert box.expect(messages.Done).request == 4
    other = Client()
    box.exec("e1", other, "ip", "-o", "addr", "show", "lo")
    box.expect(messages.Done)
    assert b"10.9.8.7/32" in other.frames()[1]
    box.expect(messages.ExecExited)
    missing: messages.Interface = {"name": "eth7", "addresses": ["10.9.8.7/32"], "gateway4": None, "gateway6": None}
    messages.send(box.control, messages.ConfigureNetwork(5, [missing], [], [None, None]))
    assert box.expect(messages.Failed).request == 5
    client.send(b"\n")
    assert box.ended().exit_code == 0
    client.close()
    other.close()


@pytest.mark.cgroup2
def test_leftovers_in_the_host_s_pid_namespace_are_killed(box: Box) -> None:
    box.container.spec["linux"]["namespaces"] = [
        kind for kind in box.container.spec["linux"]["namespaces"] if kind["type"] != "pid"
    ]
    client = Client()
    box.start("sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!", clients=[client])
    pid = int(client.frames()[1])
    box.expect(messages.Created)
    box.expect(messages.Started)
    box.ended()
    assert not Path(f"/proc/{pid}").exists()
    client.close()


def test_the_daemon_may_go_and_the_container_stays(tmp_path: Path, base: Path) -> None:
    zygote = Zygote()
    box = Box(zygote, tmp_path / "box", base)
    box.start("sh", "-c", "read x; echo got $x", stdin=True, stdin_once=True)
    box.expect(messages.Created)
    box.expect(messages.Started)
    box.control.close()
    zygote.close()
    box.control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    box.control.settimeout(PATIENCE)
    box.control.connect(str(box.directory / "shim.sock"))
    messages.send(box.control, messages.Query(1))
    assert box.expect(messages.State).started_at is not None
    client = Client()
    stream = client.theirs.detach()
    messages.send(box.control, messages.Attach(2, client.wish), [stream])
    os.close(stream)
    box.expect(messages.Done)
    client.send(b"word\n")
    assert client.frames() == {1: b"got word\n"}
    assert box.ended().exit_code == 0
    client.close()
    box.close()


def test_another_user_may_not_connect(box: Box) -> None:
    box.start("sleep", "1000")
    box.expect(messages.Created)
    box.expect(messages.Started)
    path = box.directory / "shim.sock"
    shutil.chown(path, 65534)
    for parent in [*path.parents][:-2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    child = os.fork()
    if child == 0:
        os.setresuid(65534, 65534, 65534)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
            stranger.settimeout(PATIENCE)
            stranger.connect(str(path))
            try:
                stranger.send(messages.encode(messages.Query(1)))
                os._exit(0 if stranger.recv(100) == b"" else 1)
            except (BrokenPipeError, ConnectionResetError):
                os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    messages.send(box.control, messages.Signal(2, None, signal.SIGKILL, False))
    box.expect(messages.Done)
    box.ended()
