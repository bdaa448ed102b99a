"""Which containers a list shows, by every filter, on a real registry and a real image store."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cove.engine.containers.container import Container
from cove.engine.containers.listing import select
from cove.engine.containers.record import MountPoint
from cove.engine.containers.registry import Registry
from cove.errors import InvalidArgument, NotFound
from cove.filters import Filters
from cove.store import Database
from cove.wire.host_config import PortBinding
from unit.engine.containers import container
from unit.images.conftest import opened
from unit.images.samples import import_

Show = Callable[..., str]


class Connected:
    def public_ports(self, one: Container) -> set[tuple[int, str]]:
        return {(18080, "tcp"), (5353, "udp")} if one.running and one.name == "web" else set()

    def networks(self, one: Container) -> dict[str, str]:
        mode = one.record.host_config.network_mode or "bridge"
        return {mode: f"id-of-{mode}"}


def made(image: str) -> list[Container]:
    return [
        container(
            "a1" * 32,
            "web",
            created=1,
            image=image,
            state={"status": "running"},
            config={"labels": {"tier": "front", "x": ""}, "exposed_ports": {"443/tcp": {}}},
            host={
                "port_bindings": {"80/tcp": [PortBinding(host_port="18080")]},
                "network_mode": "shop",
                "annotations": {"kept": "yes"},
            },
            mounts=[MountPoint("volume", "/data", name="files", source="/v/files/_data")],
        ),
        container("a2" * 32, "db", created=2, state={"status": "paused"}, config={"labels": {"tier": "back"}}),
        container("b3" * 32, "done", created=3, state={"status": "exited", "exit_code": 3, "finished_at": 1}),
        container("b4" * 32, "fine", created=4, state={"status": "exited", "finished_at": 1}),
        container("c5" * 32, "new", created=5),
        container("c6" * 32, "webber", created=6, state={"status": "restarting", "finished_at": 1}),
    ]


@pytest.fixture
def shown(tmp_path: Path) -> Callable[[Callable[[Show], Awaitable[None]]], None]:
    """Runs a body with a function from filters to the names that are shown."""

    async def run(body: Callable[[Show], Awaitable[None]]) -> None:
        database = Database(tmp_path / "containers.db")
        registry = Registry(database)
        try:
            async with opened(tmp_path) as images:
                await import_(images, "site", a=b"x")
                for one in made(images.resolve("site").id):
                    await registry.add(one)

                def show(all_: bool = True, limit: int = 0, **filters: Any) -> str:
                    asked = Filters({name.replace("_", "-"): values.split() for name, values in filters.items()})
                    return " ".join(
                        one.name for one in select(registry, images, Connected(), asked, all_=all_, limit=limit)
                    )

                await body(show)
        finally:
            database.close()

    return lambda body: asyncio.run(run(body))


EVERYTHING = "webber new fine done db web"


def test_what_is_shown(shown: Callable[[Callable[[Show], Awaitable[None]]], None]) -> None:
    async def body(show: Show) -> None:
        for names, asked in (
            (EVERYTHING, {}),
            ("webber db web", {"all_": False}),
            ("webber new", {"all_": False, "limit": 2}),
            (EVERYTHING, {"limit": 99}),
            ("fine done", {"all_": False, "status": "exited"}),
            ("new db", {"status": "created paused"}),
            ("", {"all_": False, "exited": "3"}),
            ("done", {"exited": "3"}),
            ("fine done", {"exited": "0 3"}),
            ("db web", {"id": "a"}),
            ("web", {"id": "a1a1"}),
            ("webber web", {"name": "web"}),
            ("web", {"name": "^web$"}),
            ("web", {"name": "^/web$"}),
            ("webber db web", {"name": "/web b$ er"}),
            ("", {"name": "("}),
            ("db web", {"label": "tier"}),
            ("web", {"label": "tier=front x"}),
            ("", {"label": "tier=front tier=back"}),
            ("db web", {"before": "done"}),
            ("webber new fine", {"since": "b3"}),
            ("fine", {"since": "done", "before": "new"}),
            ("web", {"volume": "files"}),
            ("web", {"volume": "/data other"}),
            ("", {"volume": "file"}),
            ("web", {"network": "shop"}),
            ("webber new fine done db", {"network": "bridge"}),
            ("web", {"network": "id-of-sh"}),
            ("web", {"network": "id-of-shop other"}),
            ("", {"network": "sho"}),
            ("web", {"annotation": "kept"}),
            ("web", {"annotation": "kept=yes"}),
            ("", {"annotation": "kept=no"}),
            ("web", {"ancestor": "site"}),
            ("web", {"ancestor": "site nothing"}),
            ("", {"ancestor": "nothing"}),
            ("web", {"publish": "18080"}),
            ("web", {"publish": "18000-18100/tcp"}),
            ("web", {"publish": "5353/udp"}),
            ("", {"publish": "5353"}),
            ("", {"publish": "80"}),
            ("web", {"expose": "443"}),
            ("web", {"expose": "70-90"}),
            ("", {"expose": "18080"}),
            (EVERYTHING, {"health": "none"}),
            ("", {"health": "healthy"}),
            ("", {"is_task": "true"}),
            (EVERYTHING, {"is_task": "false"}),
            ("webber", {"name": "web", "status": "restarting"}),
        ):
            assert show(**asked) == names, asked

    shown(body)


def test_filters_that_are_none(shown: Callable[[Callable[[Show], Awaitable[None]]], None]) -> None:
    async def body(show: Show) -> None:
        for asked, message in (
            ({"nope": "1"}, "invalid filter 'nope'"),
            ({"until": "1h"}, "invalid filter 'until'"),
            ({"label!": "x"}, "invalid filter 'label!'"),
            ({"status": "bad"}, "invalid filter 'status=bad'"),
            ({"health": "bad"}, "unrecognized filter value for health: bad"),
            ({"exited": "x"}, "invalid filter 'exited=x'"),
            ({"is_task": "zz"}, r"invalid filter 'is-task=\[zz\]'"),
            ({"publish": "x"}, "invalid port specification"),
            ({"expose": "90-x"}, "invalid port specification"),
        ):
            with pytest.raises(InvalidArgument, match=message):
                show(**asked)
        for name in ("before", "since"):
            with pytest.raises(NotFound, match="No such container: nobody"):
                show(**{name: "nobody"})

    shown(body)
