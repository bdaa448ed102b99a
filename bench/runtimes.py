"""``cove-oci run`` beside runc and crun: one bundle, each in turn, as a cold command; and the engine's warm way.

The warm way is a start of the engine's, through its zygote, and the wait for the end: two requests to a daemon.

usage: python -m bench.runtimes [ROUNDS]
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from harness.containers import busybox_root
from harness.daemon import Daemon
from harness.oci import PROGRAM, Bundle, remove_cgroups

PARENT = f"/cove-bench-{os.getpid()}"
WARM = "warm"


class Taken(NamedTuple):
    """Milliseconds of one call, by the clock and of the processor: its own and its descendants'."""

    wall: float
    processor: float


def main(rounds: int) -> None:
    """Print the median of what each takes, and it as a part of runc's."""
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    programs = {"cove-oci": str(PROGRAM)}
    programs |= {name: path for name in ("runc", "crun") if (path := shutil.which(name, path=search))}
    with tempfile.TemporaryDirectory(prefix="cove-bench-") as directory:
        bundle = Bundle(Path(directory) / "bundle", busybox_root(Path(directory) / "root"), PARENT)
        bundle.config["ociVersion"] = "1.0.2"
        bundle.write()
        taken = _in_turns(programs, bundle, rounds)
    remove_cgroups(PARENT)
    taken[WARM] = _warm(rounds)
    for name, calls in taken.items():
        print(_line(name, calls, taken.get("runc", [])))


def _warm(rounds: int) -> list[Taken]:
    """Only by the clock: whose processor time a start is, is not to be told apart."""
    daemon = Daemon(f"cove-bench-{os.getpid()}-warm")
    taken = []
    try:
        daemon.start()
        daemon.load_base_image()
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
        for number in range(rounds + 1):
            daemon.http("POST", f"/containers/create?name=bench{number}", body)
            began = time.perf_counter()
            daemon.http("POST", f"/containers/bench{number}/start")
            daemon.http("POST", f"/containers/bench{number}/wait")
            if number:
                taken.append(Taken((time.perf_counter() - began) * 1000, 0.0))
            daemon.http("DELETE", f"/containers/bench{number}")
    finally:
        daemon.close()
    return taken


def _line(name: str, calls: list[Taken], beside: list[Taken]) -> str:
    if not calls:
        return f"{name:10} cannot run here"
    wall, processor = (statistics.median(values) for values in zip(*calls, strict=True))
    shown = f"{name:10} wall {wall:6.1f} ms, processor {processor:6.1f} ms"
    if beside:
        runc = [statistics.median(values) for values in zip(*beside, strict=True)]
        shown += f"; {wall / runc[0]:.2f} and {processor / runc[1]:.2f} x runc"
    return shown


def _in_turns(programs: dict[str, str], bundle: Bundle, rounds: int) -> dict[str, list[Taken]]:
    """A round that does not count, then each runtime once per round; one that fails is left out from there on."""
    taken: dict[str, list[Taken]] = {name: [] for name in programs}
    left = dict(programs)
    for number in range(rounds + 1):
        for name, program in list(left.items()):
            one = _run(program, bundle, number)
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
