"""Volumes on a real database and real directories."""

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cove.errors import InvalidArgument, NotFound
from cove.store import Database
from cove.volumes import Volumes

Body = Callable[[Volumes], Awaitable[object]]


@pytest.fixture
def with_volumes(tmp_path: Path) -> Callable[[Body], None]:
    """Runs a body with a store; may be called again, like a daemon that is started again."""

    async def run(body: Body) -> None:
        database = Database(tmp_path / "db")
        volumes = Volumes(database, tmp_path)
        try:
            volumes.open()
            await body(volumes)
        finally:
            database.close()

    return lambda body: asyncio.run(run(body))


def names(volumes: Volumes) -> list[str]:
    return [volume.name for volume in volumes.list()]


def test_a_volume_outlives_the_daemon(with_volumes: Callable[[Body], None], tmp_path: Path) -> None:
    async def make(volumes: Volumes) -> None:
        volume = await volumes.create("data", labels={"a": "b"})
        assert (volume.name, volume.driver, volume.anonymous) == ("data", "local", False)
        (volumes.path("data") / "file").write_text("kept")

    async def look(volumes: Volumes) -> None:
        assert volumes.get("data").labels == {"a": "b"}
        assert (volumes.path("data") / "file").read_text() == "kept"

    with_volumes(make)
    with_volumes(look)
    assert (tmp_path / "volumes").stat().st_mode & 0o777 == 0o701
    assert (tmp_path / "volumes" / "data" / "_data").stat().st_mode & 0o777 == 0o755


def test_creating_it_again_gives_the_one_that_is_there(with_volumes: Callable[[Body], None]) -> None:
    async def body(volumes: Volumes) -> None:
        first = await volumes.create("data", labels={"a": "b"})
        assert await volumes.create("data", labels={"c": "d"}) == first
        assert await volumes.create("data", driver="") == first
        with pytest.raises(NotFound, match='plugin "other" not found'):
            await volumes.create("data", driver="other")

    with_volumes(body)


def test_a_volume_without_a_name_gets_one(with_volumes: Callable[[Body], None]) -> None:
    async def body(volumes: Volumes) -> None:
        first, second = await volumes.create(), await volumes.create()
        assert first.anonymous and first.name != second.name and len(first.name) == 64

    with_volumes(body)


INVALID = (
    'create {0}: "{0}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are '
    "allowed. If you intended to pass a host directory, use absolute path"
)


@pytest.mark.parametrize("name", ["a/b", "../up", "..", ".hidden", "-dash", "_under", "späße", "new\nline", "a b"])
def test_names_that_are_none(with_volumes: Callable[[Body], None], tmp_path: Path, name: str) -> None:
    async def body(volumes: Volumes) -> None:
        with pytest.raises(InvalidArgument) as refused:
            await volumes.create(name)
        assert refused.value.message == INVALID.format(name)
        assert names(volumes) == [] and list((tmp_path / "volumes").iterdir()) == []

    with_volumes(body)


@pytest.mark.parametrize(
    ("name", "driver", "options", "message"),
    [
        ("a", "local", {}, "create a: volume name is too short, names should be at least two alphanumeric characters"),
        ("x" * 256, "local", {}, f"create {'x' * 256}: volume name is longer than 255 characters"),
        ("ab", "nope", {}, 'create ab: error looking up volume plugin nope: plugin "nope" not found'),
        ("ab", "local", {"type": "nfs"}, 'create ab: missing required option: "device"'),
        ("ab", "local", {"device": "/x"}, 'create ab: missing required option: "type"'),
        ("ab", "local", {"o": "ro"}, 'create ab: missing required option: "device"'),
        ("ab", "local", {"nope": "1"}, 'create ab: invalid option: "nope"'),
    ],
)
def test_what_cannot_be_made(
    with_volumes: Callable[[Body], None], name: str, driver: str, options: dict[str, str], message: str
) -> None:
    async def body(volumes: Volumes) -> None:
        with pytest.raises(NotFound if driver == "nope" else InvalidArgument) as refused:
            await volumes.create(name, driver=driver, options=options)
        assert refused.value.message == message and names(volumes) == []

    with_volumes(body)


@pytest.mark.parametrize("name", ["a1", "A.b-c_d", "0" * 255])
def test_names_at_the_edge(with_volumes: Callable[[Body], None], name: str) -> None:
    async def body(volumes: Volumes) -> None:
        assert (await volumes.create(name)).name == name and volumes.path(name).is_dir()

    with_volumes(body)


def test_removing_takes_the_data(with_volumes: Callable[[Body], None], tmp_path: Path) -> None:
    async def body(volumes: Volumes) -> None:
        await volumes.create("data")
        (volumes.path("data") / "file").write_text("gone")
        await volumes.remove("data")
        assert list((tmp_path / "volumes").iterdir()) == []
        for call in (volumes.get, volumes.remove):
            with pytest.raises(NotFound, match="get data: no such volume"):
                if (waiting := call("data")) is not None:
                    await waiting  # type: ignore[misc]
        await volumes.create("data")
        assert list(volumes.path("data").iterdir()) == []

    with_volumes(body)


def test_a_volume_whose_directory_is_gone_can_be_removed(with_volumes: Callable[[Body], None]) -> None:
    async def body(volumes: Volumes) -> None:
        await volumes.create("data")
        shutil.rmtree(volumes.path("data").parent)
        await volumes.remove("data")
        assert names(volumes) == []

    with_volumes(body)


def test_many_creates_of_one_name_make_one_volume(with_volumes: Callable[[Body], None]) -> None:
    async def body(volumes: Volumes) -> None:
        made = await asyncio.gather(*(volumes.create("data", labels={"n": str(n)}) for n in range(50)))
        assert {volume.created for volume in made} == {volumes.get("data").created}

    with_volumes(body)
    with_volumes(lambda volumes: volumes.create("data"))


def test_a_removal_spares_the_next_volume_of_its_name(with_volumes: Callable[[Body], None]) -> None:
    async def body(volumes: Volumes) -> None:
        for _ in range(30):
            await volumes.create("data")
            for number in range(20):
                (volumes.path("data") / f"old {number}").touch()
            removing = asyncio.create_task(volumes.remove("data"))
            while "data" in names(volumes):
                await asyncio.sleep(0)
            await volumes.create("data")
            (volumes.path("data") / "new").touch()
            await removing
            assert [path.name for path in volumes.path("data").iterdir()] == ["new"]
            await volumes.remove("data")

    with_volumes(body)


def test_what_a_kill_left_half_made_is_swept(with_volumes: Callable[[Body], None], tmp_path: Path) -> None:
    with_volumes(lambda volumes: volumes.create("kept"))
    (tmp_path / "volumes" / "half" / "_data").mkdir(parents=True)
    (tmp_path / "volumes" / ".removed" / "_data").mkdir(parents=True)
    shutil.rmtree(tmp_path / "volumes" / "kept")

    async def look(volumes: Volumes) -> None:
        assert [path.name for path in (tmp_path / "volumes").iterdir()] == ["kept"]
        assert volumes.path("kept").is_dir()

    with_volumes(look)


def test_a_create_that_the_database_refuses_leaves_nothing(
    with_volumes: Callable[[Body], None], tmp_path: Path
) -> None:
    async def body(volumes: Volumes) -> None:
        other = sqlite3.connect(tmp_path / "db")
        other.execute("CREATE TRIGGER refuse BEFORE INSERT ON volumes BEGIN SELECT RAISE(ABORT, 'broken'); END")
        with pytest.raises(sqlite3.IntegrityError, match="broken"):
            await volumes.create("data")
        assert names(volumes) == [] and list((tmp_path / "volumes").iterdir()) == []
        other.execute("DROP TRIGGER refuse")
        other.close()
        await volumes.create("data")

    with_volumes(body)
