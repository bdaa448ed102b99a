"""``cove-oci run`` beside runc and crun: one bundle, each in turn, as a cold command; and the engine's warm way.

The warm way is from the request to the zygote until the shim tells of the program's end, as the engine has it; beside
it the same by the engine, which is two requests over HTTP, a record and a log.

usage: python -m bench.runtimes [ROUNDS]
"""

import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cove.runtime import launch, messages
from harness import containers
from harness.containers import Container, busybox_root
from harness.daemon import Daemon
from harness.oci import PROGRAM, Bundle, remove_cgroups

Call = Callable[[int], "Taken | None"]
"""One call, by its number; None when it cannot run here."""

PARENT = f"/cove-bench-{os.getpid()}"
WARM = "warm"
OVER_HTTP = "over HTTP"


class Taken(NamedTuple):
    """Milliseconds of one call, by the clock and of the processor: its own and its descendants'."""

    wall: float
    processor: float


def main(rounds: int) -> None:
    """Print the median of what each takes, and it as a part of runc's."""
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    programs = {"cove-oci": str(PROGRAM)}
    programs |= {name: path for name in ("runc", "crun") if (path := shutil.which(name, path=search))}
    with tempfile.TemporaryDirectory(prefix="cove-bench-") as directory, contextlib.ExitStack() as stack:
        root = busybox_root(Path(directory) / "root")
        bundle = Bundle(Path(directory) / "bundle", root, PARENT)
        bundle.config["ociVersion"] = "1.0.2"
        bundle.write()
        calls: dict[str, Call] = {name: partial(_run, path, bundle) for name, path in programs.items()}
        calls[WARM] = stack.enter_context(_warm(Path(directory) / "warm", root))
        calls[OVER_HTTP] = stack.enter_context(_over_http())
        taken = _in_turns(calls, rounds)
    remove_cgroups(PARENT)
    for name, times in taken.items():
        print(_line(name, times, taken.get("runc", [])))


@contextlib.contextmanager
def _warm(directory: Path, root: Path) -> Iterator[Call]:
    """The zygote and its shims alone; by the clock, as whose processor time a start is is not to be told apart."""
    zygote, process = launch.spawn_zygote()
    box = Container(directory, root)
    box.spec["process"] = containers.process("true")
    (directory / "config.json").write_text(json.dumps(box.spec))

    def call(_number: int) -> Taken:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        began = time.perf_counter()
        with ours, theirs:
            messages.send(zygote, box.start, [theirs.fileno()])
            theirs.close()
            while not isinstance((messages.receive(ours) or [None])[0], messages.Exited):
                pass
            taken = Taken((time.perf_counter() - began) * 1000, 0.0)
            while messages.receive(ours) is not None:
                pass
        return taken

    yield call
    zygote.close()
    process.wait()
    containers.remove_parent()


@contextlib.contextmanager
def _over_http() -> Iterator[Call]:
    daemon = Daemon(f"cove-bench-{os.getpid()}-warm")

    def call(number: int) -> Taken:
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
        daemon.http("POST", f"/containers/create?name=bench{number}", body)
        began = time.perf_counter()
        daemon.http("POST", f"/containers/bench{number}/start")
        daemon.http("POST", f"/containers/bench{number}/wait")
        taken = Taken((time.perf_counter() - began) * 1000, 0.0)
        daemon.http("DELETE", f"/containers/bench{number}")
        return taken

    try:
        daemon.start()
        daemon.load_base_image()
        yield call
    finally:
        daemon.close()


def _line(name: str, calls: list[Taken], beside: list[Taken]) -> str:
    if not calls:
        return f"{name:10} cannot run here"
    wall, processor = (statistics.median(values) for values in zip(*calls, strict=True))
    shown = f"{name:10} wall {wall:6.1f} ms, processor {processor:6.1f} ms"
    if beside:
        runc = [statistics.median(values) for values in zip(*beside, strict=True)]
        shown += f"; {wall / runc[0]:.2f} and {processor / runc[1]:.2f} x runc"
    return shown


def _in_turns(calls: dict[str, Call], rounds: int) -> dict[str, list[Taken]]:
    """A round that does not count, then each once per round; one that fails is left out from there on."""
    taken: dict[str, list[Taken]] = {name: [] for name in calls}
    left = dict(calls)
    for number in range(rounds + 1):
        for name, call in list(left.items()):
            one = call(number)
            if one is None:
                del left[name]
                taken[name] = []
            elif number:
                taken[name].append(one)
    return taken


def _run(program: str, bundle: Bundle, number: int) -> Taken | None:
    state = bundle.state.with_name(f"state-{os.path.basename(program)}")
    argv = [program, "--root", str(state), "run", f"bench-{os.getpid()}-{number}"]
    began = time.perf_counter()
    process = subprocess.Popen(argv, cwd=bundle.directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _pid, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:  # crun where both versions of control groups are mounted
        return None
    return Taken((time.perf_counter() - began) * 1000, (used.ru_utime + used.ru_stime) * 1000)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
