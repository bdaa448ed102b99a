"""The zygote: what it imports, and how it forks shims."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

from cove.runtime import launch, messages

ALLOWED = set(
    """
    __future__
    __main__ _abc _codecs _collections _collections_abc _ctypes _frozen_importlib _frozen_importlib_external _functools
    _heapq _imp _io _json _operator _signal _socket _sre _stat _struct _thread _typing _warnings _weakref abc array
    builtins codecs collections collections.abc contextlib copyreg encodings encodings.aliases
    encodings.utf_8 enum errno fcntl functools gc genericpath heapq io itertools json json.decoder json.encoder
    json.scanner keyword marshal math operator os os.path posix posixpath re re._casefix re._compiler re._constants
    re._parser reprlib resource select selectors signal socket stat struct sys termios time types typing typing.io
    typing.re warnings zipimport _winapi
    """.split()
)
"""The standard library's part of a zygote. Each module is in memory and start-up time: add one for a reason."""

ALLOWED_PACKAGES = ("cove.kernel", "cove.lean", "cove.runtime", "cove.oci")


def run(script: str) -> str:
    """The output of a fresh interpreter as the zygote is one."""
    command = launch.command(0)[:-2]
    path = str(Path(launch.__file__).parents[2])
    done = subprocess.run(
        [*command, "-c", f"import sys; sys.path.insert(0, {path!r})\n{script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_it_imports_nothing_else() -> None:
    found = set(json.loads(run("import cove.runtime.zygote, json; print(json.dumps(sorted(sys.modules)))")))
    ours = {name for name in found if name == "cove" or name.startswith(("cove.errors", *ALLOWED_PACKAGES))}
    assert found - ours - ALLOWED == set()
    assert "cove.runtime.shim" in ours


def test_the_daemon_imports_little_of_the_runtime() -> None:
    found = json.loads(run("import cove.runtime.launch, json; print(json.dumps(sorted(sys.modules)))"))
    assert not [name for name in found if name.startswith("cove.runtime.") and name != "cove.runtime.launch"]


def test_nothing_is_imported_while_a_container_runs() -> None:
    """A shim, in a fresh interpreter, through a whole life: output, client, exec, exit."""
    tests = str(Path(__file__).parents[2])
    script = f"""
sys.path.insert(0, {tests!r})
import os, tempfile
from pathlib import Path
from cove.runtime import zygote, shim, messages
before = set(sys.modules)
from harness import shims
class Watched(shim.Shim):
    def run(self):
        loaded = set(sys.modules)
        super().run()
        os.write(1, repr(sorted(set(sys.modules) - loaded)).encode())
shim.Shim = Watched
with tempfile.TemporaryDirectory() as directory:
    client = shims.Client()
    running = shims.RunningShim(Path(directory), ["sh", "-c", "echo x; cat"], [client], stdin=True, stdin_once=True)
    running.started()
    other = shims.Client(stdin=False)
    running.exec("e1", ["echo", "y"], other)
    running.expect(messages.Done)
    assert other.frames() == {{1: b"y\\n"}}
    running.expect(messages.ExecExited)
    client.send(b"z")
    client.half_close()
    assert client.frames() == {{1: b"x\\nz"}}
    running.expect(messages.Exited)
    running.gone()
"""
    assert run(script) == "[]"


def test_the_rehearsal_leaves_nothing_open() -> None:
    script = """
import os, signal
from cove.runtime.rehearsal import rehearse
before = os.listdir("/proc/self/fd")
rehearse()
print(before == os.listdir("/proc/self/fd"), signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL)
"""
    assert run(script).split() == ["True", "True"]


def test_what_is_allocated_after_the_gaps_are_filled_lies_together() -> None:
    script = """
from cove.runtime import pools, shim
pools.fill()
last = pools._kept[-1]
new = [bytes(len(last)) for _ in range(8)]
print({id(each) // pools._POOL for each in new} == {id(last) // pools._POOL})
"""
    assert run(script).strip() == "True"


def start_zygote() -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    """As spawn_zygote, from an interpreter that is not sealed: that needs root."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(launch.command(theirs.fileno()), pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
    ours.settimeout(10)
    return ours, process


def test_it_ends_with_the_daemon() -> None:
    daemon, process = start_zygote()
    daemon.close()
    _output, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, b"")


def test_what_is_no_start_is_reported_and_survived(tmp_path: Path) -> None:
    daemon, process = start_zygote()
    daemon.send(b"nonsense")
    messages.send(daemon, messages.Query(1))
    control = ask_for_a_shim(daemon, tmp_path)
    received = messages.receive(control)
    assert received is not None and isinstance(received[0], messages.StartFailed)
    control.close()
    daemon.close()
    _output, errors = process.communicate(timeout=10)
    assert process.returncode == 0 and b"not a start" in errors


def ask_for_a_shim(daemon: socket.socket, run_dir: Path) -> socket.socket:
    """A shim that fails, as there is no configuration."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(10)
    start = messages.StartShim(
        "c0ffee", str(run_dir), None, {"driver": "none", "path": "", "max_size": 0, "max_file": 0},
        False, False, False, False, [],
    )  # fmt: skip
    with theirs:
        messages.send(daemon, start, [theirs.fileno()])
    return ours


def test_shims_leave_no_zombies_and_no_descriptors(tmp_path: Path) -> None:
    daemon, process = start_zygote()
    counts = []
    for _ in range(3):
        with ask_for_a_shim(daemon, tmp_path) as control:
            received = messages.receive(control)
            assert received is not None and isinstance(received[0], messages.StartFailed)
            assert "config.json" in received[0].message
            assert messages.receive(control) is None
        counts.append(len(os.listdir(f"/proc/{process.pid}/fd")))
    assert counts[0] == counts[2]
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert [
        pid for pid in children if Path(f"/proc/{pid}/stat").exists() and " Z " in Path(f"/proc/{pid}/stat").read_text()
    ] == []
    daemon.close()
    process.communicate(timeout=10)


def test_an_interrupt_is_for_the_daemon() -> None:
    daemon, process = start_zygote()
    messages.send(daemon, messages.Query(1))
    assert process.stderr is not None and b"not a start" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    daemon.close()
    process.communicate(timeout=10)
    assert process.returncode == 0
