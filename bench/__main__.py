"""The command: ``python -m bench`` (``bench/run`` sets up for it)."""

import argparse
import os
import platform
import sys
from collections.abc import Callable
from functools import partial

from bench import crowded, many, memory, names, processor, pulls, registries, traffic
from bench.measure import Result, measure
from bench.rows import ROWS
from harness.daemon import Daemon
from harness.engine import Engine
from harness.peer import Peer

FIGURES: tuple[tuple[str, Callable[[list[Engine]], Result]], ...] = (
    ("engine, idle", memory.idle),
    ("log, processor time per MB", processor.per_logged_megabyte),
    (processor.WATCH, processor.watched),
    ("per running container", memory.per_container),
    ("query of a local name", names.per_query),
    (many.RESTART, many.restart),
    (crowded.NAME, crowded.crowded),
    (crowded.STARTS, crowded.starts),
    (crowded.PROMISES, crowded.promises),
    (pulls.PEAK, pulls.peak),
    ("GB between containers", traffic.between_containers),
    ("GB to a published port", traffic.to_published),
    ("GB to a port at 127.0.0.1", traffic.to_loopback),
    ("round trip between containers", traffic.trip_between_containers),
    ("round trip to a published port", traffic.trip_to_published),
    (f"run -d with {traffic.PORTS} ports", traffic.many_ports),
    (registries.PUSH, registries.push),
    (registries.PULL, registries.pull),
)


def main() -> int:
    given = _arguments()
    rows = [row.name for row in ROWS] + [name for name, _ in FIGURES]
    if given.list:
        print("\n".join(rows))
        return 0
    wanted = [name for name in rows if not given.rows or any(part in name for part in given.rows)]
    engines: list[Engine] = []
    try:
        for kind, engine in _engines(given.ours):
            engines.append(engine)
            print(f"starting {kind}", file=sys.stderr)
            engine.start()
            engine.load_base_image()
        results = _measure(engines, wanted, given.rounds)
        print(_heading(engines))
        print(_table(results))
    finally:
        for engine in engines:
            engine.close()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description="Measure Cove beside the real engine.")
    parser.add_argument("rows", nargs="*", help="parts of the names of the rows to measure (default: all)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds per row (default 15)")
    parser.add_argument("--list", action="store_true", help="name the rows and exit")
    parser.add_argument(
        "--ours",
        choices=["cove", "docker"],
        default="cove",
        help="docker: the real engine against itself, to see the noise",
    )
    return parser.parse_args()


def _engines(ours: str) -> list[tuple[str, Engine]]:
    number = os.getpid()
    first: Engine = Daemon(f"cove-bench-{number}") if ours == "cove" else Peer(f"cove-bench-{number}")
    return [(ours, first), ("docker", Peer(f"cove-bench-{number}-peer"))]


def _measure(engines: list[Engine], wanted: list[str], rounds: int) -> list[Result]:
    """The times, then the memory, which is looked at first: what rows leave in an engine's heap is not idle memory."""
    held = [_announced(name, partial(take, engines)) for name, take in FIGURES if name in wanted]
    timed = [_announced(row.name, partial(measure, row, engines, rounds)) for row in ROWS if row.name in wanted]
    return [*timed, *held]


def _announced(name: str, take: Callable[[], Result]) -> Result:
    """Measure, and tell of it at once: a run that is cut short has said what it found."""
    print(f"measuring {name}", file=sys.stderr)
    result = take()
    print(_line(result), file=sys.stderr)
    return result


def _heading(engines: list[Engine]) -> str:
    versions = [engine.http("GET", "/version").json()["Version"] for engine in engines]
    client = engines[-1].docker("version", "--format", "{{.Client.Version}}").out.strip()
    return (
        f"Cove {versions[0]} beside Docker {versions[1]}, both driven by the docker command line {client}; "
        f"Linux {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}. Medians.\n"
    )


def _table(results: list[Result]) -> str:
    lines = [
        "| | Cove | 10-90 % | Docker | ratio | target | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    return "\n".join([*lines, *(_line(result) for result in results)])


def _line(result: Result) -> str:
    low, high = (_number(value) for value in result.spread)
    spread = f"{low}-{high}" if result.unit == "ms" else ""
    met = (result.target is None or result.ratio <= result.target) and (
        result.limit is None or result.ours <= result.limit
    )
    target = (
        f"{result.target:g}" if result.target is not None else f"{result.limit:g} {result.unit}" if result.limit else ""
    )
    verdict = "" if not target else "met" if met else "missed"
    return (
        f"| {result.name} | {_number(result.ours)} {result.unit} | {spread} | {_number(result.peer)} {result.unit} "
        f"| {result.ratio:.2f} | {target} | {verdict} |"
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
