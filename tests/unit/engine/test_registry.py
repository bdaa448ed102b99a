"""The look-up of containers, and names that only one can have, on a real database."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cove.engine.containers.record import CONTAINERS, MountPoint
from cove.engine.containers.registry import Registry
from cove.errors import Conflict, Internal, InvalidArgument, NotFound
from cove.store import Database
from unit.engine.containers import container

Body = Callable[[Registry], Awaitable[object]]


@pytest.fixture
def with_registry(tmp_path: Path) -> Callable[[Body], None]:
    async def run(body: Body) -> None:
        database = Database(tmp_path / "db")
        try:
            await body(Registry(database))
        finally:
            database.close()

    return lambda body: asyncio.run(run(body))


@pytest.fixture
def rows(tmp_path: Path) -> Callable[[], list[tuple[str, str]]]:
    """Ids and names on disk."""

    def read() -> list[tuple[str, str]]:
        connection = sqlite3.connect(tmp_path / "db")
        found = sorted((record.id, record.name) for record in CONTAINERS.select(connection))
        connection.close()
        return found

    return read


def test_ways_to_name_a_container(with_registry: Callable[[Body], None]) -> None:
    async def body(registry: Registry) -> None:
        first, second, third = container("abc111", "web"), container("abd222", "abc"), container("fff333", "x.y")
        for made in (first, second, third):
            await registry.add(made)
        for reference, found in {
            "abc111": first,
            "web": first,
            "/web": first,
            "abc1": first,
            "abd": second,
            "abc": second,  # a name wins over a prefix
            "/abc": second,
            "f": third,
            "x.y": third,
        }.items():
            assert registry.get(reference) is found, reference
        with pytest.raises(InvalidArgument, match="Multiple IDs found with provided prefix: ab"):
            registry.get("ab")
        for nobody in ("we", "xyz", "", "/", "ABC111", "abc1111", "//web"):
            with pytest.raises(NotFound) as refused:
                registry.get(nobody)
            assert refused.value.message == f"No such container: {nobody}"
        assert list(registry) == [first, second, third] and "abc111" in registry and "web" not in registry

    with_registry(body)


def test_one_of_a_hundred_gets_the_name(
    with_registry: Callable[[Body], None], rows: Callable[[], list[tuple[str, str]]]
) -> None:
    async def body(registry: Registry) -> None:
        wanting = [container(f"id{number:03}", "web") for number in range(100)]
        results = await asyncio.gather(*(registry.add(one) for one in wanting), return_exceptions=True)
        winner = registry.get("web")
        assert results.count(None) == 1 and results[wanting.index(winner)] is None
        assert {str(result) for result in results if result} == {
            f'Conflict. The container name "/web" is already in use by container "{winner.id}". '
            "You have to remove (or rename) that container to be able to reuse that name."
        }
        assert all(isinstance(result, Conflict) for result in results if result)
        assert list(registry) == [winner] and rows() == [(winner.id, "web")]

    with_registry(body)


def test_a_row_that_cannot_be_written_leaves_no_container(
    with_registry: Callable[[Body], None], tmp_path: Path
) -> None:
    async def body(registry: Registry) -> None:
        other = sqlite3.connect(tmp_path / "db")
        other.execute("CREATE TRIGGER no BEFORE INSERT ON containers BEGIN SELECT RAISE(FAIL, 'broken'); END")
        with pytest.raises(Internal, match="cannot record container abc: broken"):
            await registry.add(container("abc", "web"))
        assert list(registry) == [] and not registry.name_taken("web")
        other.execute("DROP TRIGGER no")
        other.close()
        await registry.add(container("abc", "web"))

    with_registry(body)


def test_a_caller_who_goes_away_does_not_take_the_name_along(
    with_registry: Callable[[Body], None], rows: Callable[[], list[tuple[str, str]]]
) -> None:
    async def body(registry: Registry) -> None:
        leaving = asyncio.create_task(registry.add(container("abc", "web")))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await registry.save(container("other", "other"))  # behind it in the queue
        assert ("abc", "web") in rows() and registry.get("web").id == "abc"

    with_registry(body)


def test_a_rename(with_registry: Callable[[Body], None], rows: Callable[[], list[tuple[str, str]]]) -> None:
    async def body(registry: Registry) -> None:
        web, db = container("abc", "web"), container("def", "db")
        await registry.add(web)
        await registry.add(db)
        with pytest.raises(Conflict, match='"/db" is already in use by container "def"'):
            await registry.rename(web, "db")
        await registry.rename(web, "www")
        assert registry.get("www") is web and not registry.name_taken("web")
        assert rows() == [("abc", "www"), ("def", "db")]
        await registry.rename(db, "web")
        assert registry.get("web") is db

    with_registry(body)


def test_a_rename_that_fails_changes_nothing(with_registry: Callable[[Body], None], tmp_path: Path) -> None:
    async def body(registry: Registry) -> None:
        web = container("abc", "web")
        await registry.add(web)
        other = sqlite3.connect(tmp_path / "db")
        other.execute("CREATE TRIGGER no BEFORE UPDATE ON containers BEGIN SELECT RAISE(ABORT, 'broken'); END")
        other.close()
        with pytest.raises(Exception, match="broken"):
            await registry.rename(web, "www")
        assert web.name == "web" and registry.get("web") is web and not registry.name_taken("www")

    with_registry(body)


def test_of_many_who_want_a_name_one_is_renamed(with_registry: Callable[[Body], None]) -> None:
    async def body(registry: Registry) -> None:
        wanting = [container(f"id{number}", f"old{number}") for number in range(20)]
        await asyncio.gather(*(registry.add(one) for one in wanting))
        results = await asyncio.gather(*(registry.rename(one, "new") for one in wanting), return_exceptions=True)
        assert results.count(None) == 1
        assert sorted(one.name for one in wanting) == sorted(one.name for one in registry)
        assert sum(registry.name_taken(f"old{number}") for number in range(20)) == 19

    with_registry(body)


def test_a_removal_frees_id_and_name(
    with_registry: Callable[[Body], None], rows: Callable[[], list[tuple[str, str]]]
) -> None:
    async def body(registry: Registry) -> None:
        web = container("abc", "web")
        await registry.add(web)
        await registry.remove(web)
        assert rows() == [] and list(registry) == []
        await registry.add(container("abd", "web"))

    with_registry(body)


def test_who_uses_a_volume(with_registry: Callable[[Body], None]) -> None:
    async def body(registry: Registry) -> None:
        await registry.add(container("a1", "one", mounts=[MountPoint("volume", "/x", name="data")]))
        await registry.add(container("b2", "two", mounts=[MountPoint("bind", "/data", source="/data", name="data")]))
        assert [user.name for user in registry.volume_users("data")] == ["one"]
        assert registry.volume_users("other") == []

    with_registry(body)
