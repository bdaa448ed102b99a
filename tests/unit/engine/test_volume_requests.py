"""The API's requests about volumes, on a real store: what is listed, removed, pruned, and told as an event."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cove.engine.containers.record import MountPoint
from cove.engine.containers.registry import Registry
from cove.engine.events.eventlog import EventLog
from cove.engine.events.events import Events
from cove.engine.sizes import tree_size
from cove.engine.volumes.resizing import Resizing
from cove.engine.volumes.volumes import Volumes
from cove.errors import Conflict, InvalidArgument, NotFound
from cove.filters import Filters
from cove.layers import Worker
from cove.store import Database
from cove.trash import Budget, Trash
from cove.volumes import Volumes as Store
from cove.wire.volumes import VolumeCreate
from unit.engine.containers import container

Body = Callable[[Volumes, Registry, Events], Awaitable[None]]


@pytest.fixture
def with_volumes(tmp_path: Path) -> Callable[[Body], None]:
    async def run(body: Body) -> None:
        database = Database(tmp_path / "db")
        store, registry, events = Store(database, tmp_path), Registry(database), Events(EventLog(database))
        trash = Trash(database, tmp_path, Budget(minutes=0), tree_size)
        try:
            store.open()
            resizing = Resizing(store, registry, Worker(), events)
            await body(Volumes(store, registry, events, trash, resizing), registry, events)
        finally:
            database.close()

    return lambda body: asyncio.run(run(body))


async def fill(volumes: Volumes, registry: Registry) -> str:
    """Three volumes with names, and an anonymous one, whose name is returned; a container uses ``used``."""
    for name, labels in (("used", {"a": "1"}), ("free", {"a": "2"}), ("other", None)):
        await volumes.create(VolumeCreate(name=name, labels=labels))
    await registry.add(container("c1", "web", mounts=[MountPoint("volume", "/x", name="used")]))
    return (await volumes.create(VolumeCreate())).name


def test_a_list_by_every_filter(with_volumes: Callable[[Body], None]) -> None:
    async def body(volumes: Volumes, registry: Registry, events: Events) -> None:
        anonymous = await fill(volumes, registry)
        for asked, names in (
            ({}, {"used", "free", "other", anonymous}),
            ({"dangling": ["true"]}, {"free", "other", anonymous}),
            ({"dangling": ["0"]}, {"used"}),
            ({"name": ["e"]}, {"used", "free", "other"} | ({anonymous} if "e" in anonymous else set())),
            ({"name": ["^us"]}, {"used"}),
            ({"label": ["a"]}, {"used", "free"}),
            ({"label": ["a=2"]}, {"free"}),
            ({"driver": ["local"]}, {"used", "free", "other", anonymous}),
            ({"driver": ["nfs"]}, set()),
        ):
            listed = await volumes.list(Filters(asked))
            assert {volume.name for volume in listed.volumes or []} == names, asked
        for asked in ({"nope": ["1"]}, {"dangling": ["maybe"]}):
            with pytest.raises(InvalidArgument, match="invalid filter"):
                await volumes.list(Filters(asked))

    with_volumes(body)


def test_an_inspection(with_volumes: Callable[[Body], None], tmp_path: Path) -> None:
    async def body(volumes: Volumes, registry: Registry, events: Events) -> None:
        await volumes.create(VolumeCreate(name="data", labels={"a": "b"}))
        shown = await volumes.inspect("data")
        assert (shown.driver, shown.labels, shown.options) == ("local", {"a": "b"}, None)
        assert shown.mountpoint == str(tmp_path / "volumes" / "data" / "_data") and Path(shown.mountpoint).is_dir()
        with pytest.raises(NotFound, match="get nobody: no such volume"):
            await volumes.inspect("nobody")

    with_volumes(body)


def test_removals(with_volumes: Callable[[Body], None]) -> None:
    async def body(volumes: Volumes, registry: Registry, events: Events) -> None:
        await fill(volumes, registry)
        for force in (False, True):
            with pytest.raises(Conflict, match=r"remove used: volume is in use - \[c1\]"):
                await volumes.remove("used", force=force)
        with pytest.raises(NotFound, match="get nobody: no such volume"):
            await volumes.remove("nobody", force=False)
        await volumes.remove("nobody", force=True)
        await registry.remove(registry.get("web"))
        await volumes.remove("used", force=False)
        with pytest.raises(NotFound):
            await volumes.inspect("used")

    with_volumes(body)


@pytest.mark.parametrize(
    ("asked", "removed"),
    [
        ({}, {"anonymous"}),
        ({"all": ["true"]}, {"free", "other", "anonymous"}),
        ({"all": ["1"], "label": ["a"]}, {"free"}),
        ({"all": ["true"], "label!": ["a=2"]}, {"other", "anonymous"}),
        ({"label": ["a"]}, None),
    ],
)
def test_pruning(with_volumes: Callable[[Body], None], asked: dict[str, list[str]], removed: set[str] | None) -> None:
    async def body(volumes: Volumes, registry: Registry, events: Events) -> None:
        names = {await fill(volumes, registry): "anonymous"}
        pruned = (await volumes.prune(Filters(asked))).volumes_deleted
        assert (pruned and {names.get(name, name) for name in pruned}) == removed
        assert (await volumes.inspect("used")).name == "used"

    with_volumes(body)


def test_what_happens_is_told(with_volumes: Callable[[Body], None]) -> None:
    async def body(volumes: Volumes, registry: Registry, events: Events) -> None:
        heard: list[tuple[str, str, str, str]] = []

        async def listen() -> None:
            async for event in events.listen(None, None, lambda event: True):
                heard.append((event.type, event.action, event.actor.id, event.actor.attributes["driver"]))

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        await volumes.create(VolumeCreate(name="data"))
        await volumes.remove("data", force=False)
        events.close()
        await listening
        assert heard == [("volume", "create", "data", "local"), ("volume", "destroy", "data", "local")]

    with_volumes(body)
