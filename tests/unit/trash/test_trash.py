"""The trash over real files and a real database: in, out, by age and size, and whatever moment a daemon ended at."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from cove.engine.sizes import tree_size
from cove.errors import InvalidArgument, NotFound
from cove.store import Database
from cove.trash import Budget, Entry, Trash
from cove.trash.trash import MINUTE

Body = Callable[[Trash, Database], Awaitable[None]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    """Runs bodies one after the other, each with the trash of a daemon of its own on the same root."""

    def run(*bodies: Body, budget: Budget = Budget()) -> None:  # noqa: B008
        async def main(body: Body) -> None:
            database = Database(tmp_path / "cove.db")
            trash = Trash(database, tmp_path, budget, tree_size)
            try:
                trash.open()
                await asyncio.wait_for(body(trash, database), 20)
            finally:
                await trash.close()
                database.close()

        (tmp_path / "containers").mkdir(exist_ok=True)
        for body in bodies:
            asyncio.run(main(body))

    return run


def made(root: Path, name: str, *, age: int = 0, size: int = 0) -> Entry:
    """A thing of one directory with a file in it, and its entry."""
    directory = root / "containers" / name
    directory.mkdir()
    (directory / "file").write_bytes(b"x" * size)
    return Entry(name, "container", name[:3], time.time_ns() - age, [f"containers/{name}"], msgspec.Raw(b"{}"))


async def threw(trash: Trash, database: Database, entry: Entry) -> None:
    await database.run(trash.adding(entry))
    trash.added(entry)


def here(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "containers").iterdir())


def aside(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "trash").iterdir())


def test_in_and_back(run: Callable[..., None], tmp_path: Path) -> None:
    async def body(trash: Trash, database: Database) -> None:
        entry = made(tmp_path, "web1")
        await threw(trash, database, entry)
        assert (here(tmp_path), aside(tmp_path)) == ([], ["web1"])
        assert (trash.path(entry, "containers/web1") / "file").exists()

    async def later(trash: Trash, database: Database) -> None:
        entry = trash.find("web")
        trash.move_back(entry)
        await database.run(trash.taking(entry))
        trash.taken(entry)
        assert (here(tmp_path), aside(tmp_path), list(trash)) == (["web1"], [], [])

    run(body, later)


def test_a_daemon_that_ended_between_the_row_and_the_directories(run: Callable[..., None], tmp_path: Path) -> None:
    async def in_(trash: Trash, database: Database) -> None:
        await database.run(trash.adding(made(tmp_path, "web1")))

    async def back(trash: Trash, database: Database) -> None:
        assert aside(tmp_path) == ["web1"] and here(tmp_path) == []
        trash.move_back(trash.find("web1"))

    async def again(trash: Trash, database: Database) -> None:
        assert aside(tmp_path) == ["web1"] and here(tmp_path) == []
        await database.run(trash.taking(trash.find("web1")))

    async def gone(trash: Trash, database: Database) -> None:
        trash.watch()
        while aside(tmp_path):
            await asyncio.sleep(0.001)
        assert list(trash) == []

    run(in_, back, again, gone)


def test_found_by_id_prefix_and_the_newest_of_a_name(run: Callable[..., None], tmp_path: Path) -> None:
    async def body(trash: Trash, database: Database) -> None:
        for name in ("aaa1", "aaa2", "bbb1"):
            await threw(trash, database, made(tmp_path, name))
        assert [entry.id for entry in trash] == ["bbb1", "aaa2", "aaa1"]
        assert trash.find("aaa").id == "aaa2" and trash.find("aaa1").id == "aaa1" and trash.find("/bb").id == "bbb1"
        with pytest.raises(InvalidArgument, match="Multiple IDs"):
            trash.find("aa")
        with pytest.raises(NotFound, match="No such container or volume in the trash: ccc"):
            trash.find("ccc")
        async with trash.held("") as entry:
            assert entry.id == "bbb1"

    run(body)


def test_what_is_too_old_goes_by_itself_and_is_told_of(run: Callable[..., None], tmp_path: Path) -> None:
    async def body(trash: Trash, database: Database) -> None:
        told: list[str] = []

        async def gone(entry: Entry) -> None:
            told.append(entry.id)

        trash.on_gone = gone
        await threw(trash, database, made(tmp_path, "old1", age=61 * MINUTE))
        await threw(trash, database, made(tmp_path, "new1", age=59 * MINUTE))
        trash.watch()
        while not told:
            await asyncio.sleep(0.001)
        assert told == ["old1"] and aside(tmp_path) == ["new1"]

    run(body)


def test_the_oldest_goes_when_all_take_too_much(
    run: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(trash: Trash, database: Database) -> None:
        for name in ("one1", "two2", "six6"):
            await threw(trash, database, made(tmp_path, name, size=1000))
        for entry in trash:
            trash._sizes[entry.id] = 1000
        assert [entry.id for entry in trash._surplus(3000)] == []
        assert [entry.id for entry in trash._surplus(2999)] == ["one1"]
        assert [entry.id for entry in trash._surplus(999)] == ["one1", "two2", "six6"]

    run(body)


def test_a_full_disk_empties_it(run: Callable[..., None], tmp_path: Path) -> None:
    async def body(trash: Trash, database: Database) -> None:
        assert not await trash.relieve()
        for name in ("one1", "two2"):
            await threw(trash, database, made(tmp_path, name))
        assert await trash.relieve()
        assert (list(trash), aside(tmp_path)) == ([], [])

    run(body)


def test_none_at_all(run: Callable[..., None]) -> None:
    async def body(trash: Trash, database: Database) -> None:
        assert not trash.enabled
        with pytest.raises(NotFound, match="nothing to bring back"):
            async with trash.held(""):
                pass

    run(body, budget=Budget(minutes=0))
    run(body, budget=Budget(percent=0))
