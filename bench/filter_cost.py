"""What loading the default system call filter costs a process, beside a filter of one instruction: medians, in turns.

A whole start varies by more than this from one time to the next, so the call alone is measured, each time in a new
process. It has made a system call before, as init has made dozens: the first one of a forked Python pays for copies of
pages, which a start without a filter pays for as well.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from cove.engine.bundle.privileges import DEFAULT_CAPABILITIES
from cove.kernel import processes, seccomp
from cove.seccomp import bpf
from cove.seccomp.cache import BUILTIN, Filters

ROUNDS = 100

_ALLOW = 0x7FFF0000
_SPECULATION_ALLOWED = 4  # as containers have it


def table() -> str:
    """A Markdown table in milliseconds."""
    with tempfile.TemporaryDirectory() as directory:
        compiled = Filters(Path(directory)).get(BUILTIN, DEFAULT_CAPABILITIES)
    assert compiled is not None
    programs = {"the default": compiled.filter.program, "one instruction": bpf.encode(bpf.give_back(_ALLOW))}
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS):
        for name, program in programs.items():
            times[name].append(_load(program))
    rows = [
        f"| {name}, {len(programs[name]) // 8} | {statistics.median(taken):.2f} | {min(taken):.2f} |"
        for name, taken in times.items()
    ]
    return "\n".join(["| filter, instructions | ms | least |", "| --- | ---: | ---: |", *rows])


def _load(program: bytes) -> float:
    """Milliseconds, in a child that ends with its filter."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        processes.set_no_new_privileges()
        began = time.perf_counter_ns()
        seccomp.load(program, _SPECULATION_ALLOWED)
        os.write(writing, str(time.perf_counter_ns() - began).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        taken = int(pipe.read())
    os.waitpid(child, 0)
    return taken / 1e6
