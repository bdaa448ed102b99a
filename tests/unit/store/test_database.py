"""The database: migrations, changes that share a commit, what a kill or a full disk leaves."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cove.errors import Conflict, Internal, NoSpace
from cove.store import Database
from cove.store.schema import MIGRATIONS

TABLES = "containers images image_names layers blobs networks endpoints ports volumes".split()


def add(name: str, record: bytes = b"") -> Callable[[sqlite3.Connection], None]:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO volumes VALUES (?, ?)", (name, record))

    return change


def names(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return sorted(name for (name,) in connection.execute("SELECT name FROM volumes"))
    finally:
        connection.close()


def use(path: Path, body: Callable[[Database], Awaitable[None]]) -> None:
    async def run() -> None:
        database = Database(path)
        try:
            await body(database)
        finally:
            database.close()

    asyncio.run(run())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cove.db"


class Hold:
    """A change that keeps the database's thread until it is let go, so that the changes after it share one batch."""

    def __init__(self) -> None:
        self._go = threading.Event()

    def __call__(self, connection: sqlite3.Connection) -> None:
        assert self._go.wait(20)

    def release(self) -> None:
        self._go.set()


async def in_one_batch(database: Database, *changes: Callable[[sqlite3.Connection], Any]) -> list[Any]:
    """The results, or the errors, of changes that share one transaction."""
    hold = Hold()
    held = asyncio.create_task(database.run(hold))
    tasks = [asyncio.create_task(database.run(change)) for change in changes]
    await asyncio.sleep(0)
    hold.release()
    _, *results = await asyncio.gather(held, *tasks, return_exceptions=True)
    return results


def test_a_new_file_has_every_table(path: Path) -> None:
    database = Database(path)
    found = {name for (name,) in database.load(lambda c: c.execute("SELECT name FROM sqlite_master").fetchall())}
    version = database.load(lambda c: c.execute("PRAGMA user_version").fetchone())
    database.close()
    assert found >= set(TABLES) and version == (len(MIGRATIONS),)


def test_a_file_is_opened_again_as_it_was(path: Path) -> None:
    for name in ("first", "second"):
        use(path, lambda database, name=name: database.run(add(name)))  # type: ignore[misc]
    assert names(path) == ["first", "second"]


def test_a_newer_file_is_refused_and_left_alone(path: Path) -> None:
    Database(path).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 999")
    newer.close()
    before = path.read_bytes()
    with pytest.raises(Conflict, match=f"the database has schema 999; this version of Cove knows {len(MIGRATIONS)}"):
        Database(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.write_bytes(b"no database, but longer than its header would be" * 50)
    with pytest.raises(Internal, match=f"cannot open the database {path}: file is not a database"):
        Database(path)


def test_a_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(Internal, match=r"cannot open the database .*/none/cove.db: unable to open"):
        Database(tmp_path / "none" / "cove.db")


def test_a_migration_that_fails_leaves_nothing(path: Path) -> None:
    with pytest.raises(Internal, match="nonsense"):
        Database(path, (*MIGRATIONS, "CREATE TABLE boats (a); SELECT nonsense"))
    database = Database(path)
    found = database.load(lambda c: c.execute("SELECT name FROM sqlite_master WHERE name = 'boats'").fetchall())
    database.close()
    assert found == []


def test_a_later_migration_keeps_the_rows(path: Path) -> None:
    use(path, lambda database: database.run(add("kept")))
    Database(path, (*MIGRATIONS, "CREATE TABLE boats (a)")).close()
    assert names(path) == ["kept"]
    with pytest.raises(Conflict):
        Database(path)


def test_a_change_returns_its_result_and_is_on_disk(path: Path) -> None:
    async def body(database: Database) -> None:
        assert await database.run(lambda c: c.execute("SELECT 42").fetchone()) == (42,)
        await database.run(add("a"))
        assert names(path) == ["a"]

    use(path, body)


def test_one_that_fails_in_a_batch_undoes_only_itself(path: Path) -> None:
    def two_and_fail(connection: sqlite3.Connection) -> None:
        add("undone")(connection)
        raise ValueError("no")

    async def body(database: Database) -> None:
        results = await in_one_batch(database, add("a"), two_and_fail, add("a"), add("b"))
        assert [type(result) for result in results] == [type(None), ValueError, sqlite3.IntegrityError, type(None)]
        assert names(path) == ["a", "b"]

    use(path, body)


def test_changes_that_wait_together_share_one_commit(path: Path) -> None:
    async def body(database: Database) -> None:
        commits: list[str] = []
        database.load(lambda connection: connection.set_trace_callback(commits.append))
        await in_one_batch(database, *(add(f"volume {number}") for number in range(20)))
        assert commits.count("COMMIT") <= 2  # of the one that held the thread, and of the twenty
        assert len(names(path)) == 20

    use(path, body)


def test_more_changes_than_one_batch_holds(path: Path) -> None:
    async def body(database: Database) -> None:
        await in_one_batch(database, *(add(f"volume {number}") for number in range(200)))
        assert len(names(path)) == 200

    use(path, body)


def test_a_statement_that_is_wrong_is_our_fault(path: Path) -> None:
    async def body(database: Database) -> None:
        with pytest.raises(Internal, match="no such table"):
            await database.run(lambda connection: connection.execute("SELECT * FROM nowhere").fetchall())

    use(path, body)


def test_a_caller_who_goes_away_does_not_stop_the_change(path: Path) -> None:
    async def body(database: Database) -> None:
        hold = Hold()
        held = asyncio.create_task(database.run(hold))
        leaving = asyncio.create_task(database.run(add("kept")))
        await asyncio.sleep(0)
        leaving.cancel()
        hold.release()
        await held
        await database.run(add("next"))
        assert leaving.cancelled() and names(path) == ["kept", "next"]

    use(path, body)


def test_closing_finishes_what_is_queued_and_refuses_more(path: Path) -> None:
    async def run() -> None:
        database = Database(path)
        waiting = [asyncio.create_task(database.run(add(name))) for name in "abc"]
        await asyncio.sleep(0)
        database.close()
        database.close()
        await asyncio.gather(*waiting)
        with pytest.raises(Internal, match="the database is closed"):
            await database.run(add("late"))

    asyncio.run(run())
    assert names(path) == ["a", "b", "c"]


def test_a_loop_that_is_gone_does_not_stop_the_database(path: Path) -> None:
    database = Database(path)
    hold = Hold()

    async def leave() -> None:
        tasks.append(asyncio.create_task(database.run(hold)))
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    asyncio.run(leave())
    hold.release()
    asyncio.run(database.run(add("a")))
    database.close()
    assert names(path) == ["a"]


WRITER = """
import asyncio, sys
from pathlib import Path
from cove.store import Database

async def main():
    database = Database(Path(sys.argv[1]))
    for number in range(100_000):
        row = (f"{number:06}", b"x" * 500)
        await database.run(lambda connection: connection.execute("INSERT INTO volumes VALUES (?, ?)", row))
        print(number, flush=True)

asyncio.run(main())
"""


def test_what_was_confirmed_survives_a_kill(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 40:
                break
        writer.kill()
        confirmed = max(40, *(int(line) for line in writer.stdout), 40)
    Database(path).close()
    found = names(path)
    assert found[: confirmed + 1] == [f"{number:06}" for number in range(confirmed + 1)]
    assert len(found) <= confirmed + 2, "at most the one that was under way"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A database on a file system of 1 MiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=True)
    yield tmp_path / "cove.db"
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.root
def test_a_full_disk_fails_the_changes_and_nothing_else(full_disk: Path) -> None:
    filler = full_disk.parent / "filler"

    async def body(database: Database) -> None:
        await database.run(add("before"))
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(b"x" * (1 << 20))
        large = bytes(100_000)
        results = await in_one_batch(database, *(add(f"lost {number}", large) for number in range(4)))
        assert [type(result) for result in results] == [NoSpace] * 4
        assert "cannot write the database" in str(results[0])
        assert await database.run(lambda c: c.execute("SELECT name FROM volumes").fetchall()) == [("before",)]
        filler.unlink()
        await database.run(add("after"))

    use(full_disk, body)
    assert names(full_disk) == ["after", "before"]


@pytest.mark.root
def test_what_is_told_to_have_failed_is_not_there(full_disk: Path) -> None:
    """SQLite gives up the whole transaction when the disk is full; the changes that follow must not slip through."""
    filler = full_disk.parent / "filler"

    async def body(database: Database) -> None:
        await database.run(lambda connection: connection.execute("PRAGMA cache_size = 1").fetchall())
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(b"x" * (1 << 20))

        def free_and_add(connection: sqlite3.Connection) -> None:
            filler.unlink()
            add("slipped")(connection)

        results = await in_one_batch(database, add("first"), add("large", bytes(400_000)), free_and_add, add("last"))
        done = [name for name, result in zip(("first", "large", "slipped", "last"), results, strict=True) if not result]
        assert sorted(done) == names(full_disk)
        assert all(result is None or isinstance(result, Internal) for result in results)
        filler.unlink(missing_ok=True)
        await database.run(add("after"))

    use(full_disk, body)


def test_a_damaged_page_is_told_as_one(path: Path) -> None:
    Database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        pages = connection.execute("SELECT rootpage FROM sqlite_master WHERE rootpage").fetchall()
    whole = bytearray(path.read_bytes())
    for (page,) in pages:  # of tables and indexes, and not those of the schema itself
        whole[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(whole)
    database = Database(path)
    try:
        with pytest.raises(Internal, match=f"cannot read the database {path}: database disk image is malformed"):
            database.load(lambda connection: connection.execute("SELECT * FROM volumes").fetchall())
        with pytest.raises(Internal, match="database disk image is malformed"):
            asyncio.run(database.run(add("one")))
    finally:
        database.close()
