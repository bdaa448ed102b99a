"""``cove-oci run`` beside runc and crun: one bundle, each runtime in turn, as a cold command.

usage: python -m bench.runtimes [ROUNDS]
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.containers import busybox_root
from harness.oci import PROGRAM, Bundle, remove_cgroups

PARENT = f"/cove-bench-{os.getpid()}"


def main(rounds: int) -> None:
    """Print the median and the least time of each, in milliseconds, and ours as a part of runc's."""
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    programs = {"cove-oci": str(PROGRAM)}
    programs |= {name: path for name in ("runc", "crun") if (path := shutil.which(name, path=search))}
    with tempfile.TemporaryDirectory(prefix="cove-bench-") as directory:
        bundle = Bundle(Path(directory) / "bundle", busybox_root(Path(directory) / "root"), PARENT)
        bundle.config["ociVersion"] = "1.0.2"
        bundle.write()
        times = {name: _times(program, bundle, rounds) for name, program in programs.items()}
    remove_cgroups(PARENT)
    for name, taken in times.items():
        part = statistics.median(taken) / statistics.median(times["runc"]) if times.get("runc") and taken else 0.0
        shown = f"{statistics.median(taken):7.1f} {min(taken):7.1f}  {part:5.2f} x runc" if taken else "cannot run here"
        print(f"{name:10} {shown}")


def _times(program: str, bundle: Bundle, rounds: int) -> list[float]:
    taken = []
    for number in range(rounds):
        argv = [program, "--root", str(bundle.state), "run", f"bench-{os.getpid()}-{number}"]
        began = time.perf_counter()
        done = subprocess.run(argv, cwd=bundle.directory, stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode:  # crun where both versions of control groups are mounted
            print(f"{program}: {json.dumps(done.stderr.decode(errors='replace')[:200])}", file=sys.stderr)
            return []
        taken.append((time.perf_counter() - began) * 1000)
    return taken


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
