"""Where containers went, beyond their runs and the daemon's."""

import asyncio
import sqlite3
from pathlib import Path

from cove.engine.networking.learned import MAX_ADDRESSES, MAX_NAMES, MAX_PLACES, Learned
from cove.network import Reached, allowing
from cove.store import Database


def _container(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO containers VALUES ('c1', 'box', '', x'7b7d')")


def test_it_is_there_for_the_next_daemon_and_goes_with_the_container(tmp_path: Path) -> None:
    async def first() -> None:
        database = Database(tmp_path / "db")
        learned = Learned(database)
        await database.run(_container)
        learned.named("c1", "a.test", ["192.0.2.1"])
        learned.reached("c1", [Reached("192.0.2.1", "tcp", 80)])
        learned.named("c1", "a.test", ["192.0.2.2"])
        learned.reached("removed", [Reached("192.0.2.1", "tcp", 80)])
        learned.close()
        database.close()

    async def second() -> tuple[str, str]:
        database = Database(tmp_path / "db")
        learned = Learned(database)
        there = allowing(learned.destinations("c1", [Reached("192.0.2.2", "udp", 53)]))
        await database.run(lambda connection: connection.execute("DELETE FROM containers"))
        database.close()
        database = Database(tmp_path / "db")
        gone = allowing(Learned(database).destinations("c1", []))
        database.close()
        return there, gone

    asyncio.run(first())
    assert asyncio.run(second()) == ("allow=a.test:53/udp,a.test:80", "deny")


def test_it_is_bounded(tmp_path: Path) -> None:
    async def fill() -> tuple[int, int]:
        database = Database(tmp_path / "db")
        learned = Learned(database)
        for number in range(MAX_NAMES + 5):
            learned.named("c1", f"n{number}", [f"10.0.{each}.1" for each in range(MAX_ADDRESSES + 5)])
        learned.reached("c1", [Reached("10.0.0.1", "tcp", port) for port in range(1, MAX_PLACES + 100)])
        found = learned.destinations("c1", [])
        learned.close()
        database.close()
        return len({each.name for each in found}), len({each.port for each in found})

    assert asyncio.run(fill()) == (MAX_NAMES, MAX_PLACES)
