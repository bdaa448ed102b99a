"""The steps of one `run --rm`, as the client and the daemon's own debug log see them.

Prints a Markdown table of medians in milliseconds. The daemon logs how long each request took, and for each start the
steps between a bundle and the program's first instruction.
"""

import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict

from bench import filter_cost
from harness.daemon import Daemon
from harness.engine import Engine

ROUNDS = 30

_REQUEST = re.compile(r"(GET|HEAD|POST|DELETE) (\S+) \d+ in ([\d.]+) ms")
_STARTED = re.compile(r"container \w+ started: ([^\"]*)")
_STEP = re.compile(r"([a-z ]+) ([\d.]+) ms")
_ID = re.compile(r"[0-9a-f]{64}")


def main() -> int:
    engine = Daemon(f"cove-profile-{time.time_ns() % 1_000_000}", "--debug")
    try:
        engine.start()
        engine.load_base_image()
        for flags in ([], ["--net", "none"], ["-p", "8080:80"]):
            print(f"\n`docker run --rm {' '.join([*flags, 'busybox', 'true'])}`\n\n{_table(engine, flags)}")
    finally:
        engine.close()
    print(f"\nLoading a system call filter\n\n{filter_cost.table()}")
    return 0


def _table(engine: Engine, flags: list[str]) -> str:
    command = ["docker", "run", "--rm", *flags, "busybox", "true"]
    _timed(engine, command)
    logged = engine.log.stat().st_size
    whole = [_timed(engine, command) for _ in range(ROUNDS)]
    with engine.log.open() as log:
        log.seek(logged)
        steps = _steps(log.read())
    alone = [_timed(engine, ["docker", "version", "--format", "{{.Client.Version}}"]) for _ in range(ROUNDS)]
    rows = [("the whole command", whole), ("the command line alone (`docker version`)", alone), *steps.items()]
    lines = [f"| {name} | {statistics.median(times):.2f} |" for name, times in rows]
    return "\n".join(["| step | ms |", "| --- | ---: |", *lines])


def _steps(log: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for line in log.splitlines():
        if request := _REQUEST.search(line):
            path = _ID.sub("{id}", request[2].partition("?")[0])
            found[f"request {request[1]} {re.sub('^/v[0-9.]+', '', path)}"].append(float(request[3]))
        elif started := _STARTED.search(line):
            for step, milliseconds in _STEP.findall(started[1]):
                found[f"start: {step.strip()}"].append(float(milliseconds))
    return dict(sorted(found.items()))


def _timed(engine: Engine, command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=engine.client_environment(), check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    sys.exit(main())
