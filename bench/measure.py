"""Taking times in turns: A B A B …, so that what else the machine does meets both alike."""

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from harness.engine import Engine


class Row(NamedTuple):
    """One line of the table.

    ``timed``: what the clock runs for. ``before`` and ``after``: once per row and engine; ``reset``: after each round.
    ``target``: the most that the ratio of our median to the peer's may be; ``limit``: the most that ours may be, in
    the row's unit.
    """

    name: str
    timed: Callable[[Engine], None]
    before: Callable[[Engine], None] = lambda engine: None
    reset: Callable[[Engine], None] = lambda engine: None
    after: Callable[[Engine], None] = lambda engine: None
    target: float | None = None
    limit: float | None = None


class Result(NamedTuple):
    """Medians in ``unit``; ``spread``: of ours, the 10th to the 90th percentile."""

    name: str
    ours: float
    peer: float
    unit: str
    rounds: int
    spread: tuple[float, float]
    target: float | None
    limit: float | None

    @property
    def ratio(self) -> float:
        return self.ours / self.peer


def client(engine: Engine, *argv: str) -> None:
    """Run a client to its end, its output thrown away. Raises RuntimeError with its errors when it fails."""
    done = subprocess.run(
        argv,
        env=engine.client_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.decode(errors='replace')}")


def docker(engine: Engine, *args: str) -> None:
    client(engine, "docker", *args)


def measure(row: Row, engines: Sequence[Engine], rounds: int) -> Result:
    """Time a row on both engines, ours first, after one round that does not count."""
    times: list[list[float]] = [[] for _ in engines]
    for engine in engines:
        row.before(engine)
        row.timed(engine)
        row.reset(engine)
    for _ in range(rounds):
        for engine, taken in zip(engines, times, strict=True):
            began = time.perf_counter()
            row.timed(engine)
            taken.append((time.perf_counter() - began) * 1000)
            row.reset(engine)
    for engine in engines:
        row.after(engine)
    ours, peer = (statistics.median(taken) for taken in times)
    return Result(row.name, ours, peer, "ms", rounds, spread(times[0]), row.target, row.limit)


def spread(values: list[float]) -> tuple[float, float]:
    """The 10th and the 90th percentile."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return ordered[round(last * 0.1)], ordered[round(last * 0.9)]
