"""The runs that have ended, by the names of their containers: kept when those are removed, and bounded.

A run of a container that removes itself at its end is not kept: nobody asks for it again.
"""

import os
import sqlite3

import msgspec

from cove import __version__
from cove.engine.containers.record import Record
from cove.store import Database, Table

KEPT_OF_A_NAME = 16
KEPT = 4000
"""Rows, over all names: some 2 KiB each."""


class Setup(msgspec.Struct, omit_defaults=True):
    """What a run was made of: what may explain that another went otherwise."""

    image: str
    image_name: str
    command: list[str]
    env: list[str]
    mounts: list[str]
    limits: dict[str, str]
    user: str
    network: str
    version: str
    kernel: str


class Run(msgspec.Struct, omit_defaults=True):
    """Times are nanoseconds since the epoch. ``stopped``: a user asked for the end. ``memory_peak`` in bytes."""

    container: str
    name: str
    started_at: int
    finished_at: int
    exit_code: int
    setup: Setup
    oom_killed: bool = False
    stopped: bool = False
    error: str = ""
    memory_peak: int = 0

    @property
    def good(self) -> bool:
        """It ended with 0, or because a user asked for it."""
        return not self.oom_killed and not self.error and (self.exit_code == 0 or self.stopped)


RUNS: Table[Run] = Table("runs", Run, (), {"name": lambda run: run.name})

_LIMITS = (
    "memory",
    "memory_swap",
    "memory_reservation",
    "nano_cpus",
    "cpu_quota",
    "cpu_shares",
    "cpuset_cpus",
    "pids_limit",
)


def setup(record: Record) -> Setup:
    """What a run of the container is made of now."""
    host = record.host_config
    return Setup(
        image=record.image,
        image_name=record.image_name,
        command=record.arguments,
        env=list(record.config.env or []),
        mounts=[f"{mount.source}:{mount.destination}:{'rw' if mount.writable else 'ro'}" for mount in record.mounts],
        limits={name: str(value) for name in _LIMITS if (value := getattr(host, name))},
        user=record.config.user or "",
        network=host.network_mode,
        version=__version__,
        kernel=os.uname().release,
    )


class Runs:
    """Writes as events are written: with the change that follows, and without anyone waiting."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, record: Record, memory_peak: int = 0) -> None:
        """Keep the run, or the start that failed, that the record tells of."""
        if record.host_config.auto_remove:
            return
        state = record.state
        run = Run(
            container=record.id,
            name=record.name,
            started_at=state.started_at if state.finished_at >= state.started_at else 0,
            finished_at=state.finished_at,
            exit_code=state.exit_code,
            setup=setup(record),
            oom_killed=state.oom_killed,
            stopped=state.stopped,
            error=state.error,
            memory_peak=memory_peak,
        )
        self._database.note(lambda connection: _add(connection, run))

    async def of(self, name: str) -> list[Run]:
        """The runs of containers of a name, the newest first."""

        def read(connection: sqlite3.Connection) -> list[Run]:
            rows = connection.execute("SELECT record FROM runs WHERE name = ? ORDER BY number DESC", (name,))
            return [msgspec.json.decode(record, type=Run) for (record,) in rows]

        return await self._database.run(read)


def _add(connection: sqlite3.Connection, run: Run) -> None:
    RUNS.insert(connection, run)
    connection.execute(
        "DELETE FROM runs WHERE name = ? AND number <= "
        "(SELECT number FROM runs WHERE name = ? ORDER BY number DESC LIMIT 1 OFFSET ?)",
        (run.name, run.name, KEPT_OF_A_NAME),
    )
    connection.execute("DELETE FROM runs WHERE number <= (SELECT MAX(number) - ? FROM runs)", (KEPT,))
