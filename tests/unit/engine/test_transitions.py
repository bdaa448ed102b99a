"""Moves between a container's states that need no running program."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cove.engine.bundle.bundles import Bundles
from cove.engine.bundle.group_names import GroupNames
from cove.engine.bundle.seccomp import Seccomp
from cove.engine.containers import views
from cove.engine.containers.container import Container, Paths
from cove.engine.containers.record import CONTAINERS, MountPoint
from cove.engine.containers.registry import Registry
from cove.engine.events.announcements import Announcements
from cove.engine.events.eventlog import EventLog
from cove.engine.events.events import Events
from cove.engine.lifecycle.execs import Execs
from cove.engine.lifecycle.health import Probes
from cove.engine.lifecycle.runs import Runs
from cove.engine.lifecycle.shims import Zygote
from cove.engine.lifecycle.stopping import Stopping
from cove.engine.lifecycle.transitions import Transitions
from cove.engine.networking.connectivity import Connectivity
from cove.engine.networking.etcfiles import Wishes
from cove.engine.networking.learned import Learned
from cove.engine.networking.link_exceptions import LinkExceptions
from cove.engine.networking.links import Links
from cove.engine.networking.namefiles import NameFiles
from cove.engine.networking.nameservice import NameService
from cove.engine.networking.sandboxes import Sandboxes
from cove.engine.removing.removal import Removal
from cove.engine.sizes import tree_size
from cove.engine.volumes.mounts import VolumeMounts
from cove.errors import Conflict, NotFound, NotModified
from cove.network import Networks, NetworkSettings
from cove.runtime.messages import Exited
from cove.store import Database
from cove.trash import Budget, Trash
from cove.volumes import Volumes
from cove.wire.host_config import RestartPolicy
from unit.engine.containers import container
from unit.images.conftest import opened


class Moves(NamedTuple):
    transitions: Transitions
    stopping: Stopping
    removal: Removal


Body = Callable[[Moves, Container], Awaitable[None]]


@pytest.fixture
def with_container(tmp_path: Path) -> Callable[..., None]:
    """Runs a body with a container of a network of its own, whose image is gone: no start succeeds."""

    async def run(body: Body, changes: dict[str, Any]) -> None:
        database = Database(tmp_path / "containers.db")
        registry, zygote = Registry(database), Zygote()
        networks = Networks(database, NetworkSettings())
        connectivity = Connectivity(networks)
        names = NameService(registry, Sandboxes(registry, networks, connectivity), tmp_path)
        files = NameFiles(connectivity, Links(registry, connectivity), Wishes())
        bundles = Bundles(
            registry,
            connectivity,
            files,
            Seccomp(tmp_path),
            groups=GroupNames("/cove-unit"),
            init_path=None,
            init=False,
        )
        host = {"network_mode": "none", **changes.pop("host", {})}
        try:
            async with opened(tmp_path) as images:
                events = Events(EventLog(database))
                announcements = Announcements(events, connectivity)
                probes = Probes(Execs(registry, events), registry, events)
                stopping = Stopping(registry, bundles, announcements, probes)
                trash = Trash(database, tmp_path, Budget(minutes=0), tree_size)
                removal = Removal(
                    registry=registry,
                    images=images,
                    volumes=Volumes(database, tmp_path),
                    connectivity=connectivity,
                    bundles=bundles,
                    announcements=announcements,
                    stopping=stopping,
                    trash=trash,
                    learned=Learned(database),
                )
                transitions = Transitions(
                    registry=registry,
                    images=images,
                    connectivity=connectivity,
                    exceptions=LinkExceptions(registry, networks, connectivity, files.links),
                    names=names,
                    files=files,
                    bundles=bundles,
                    zygote=zygote,
                    announcements=announcements,
                    probes=probes,
                    stopping=stopping,
                    removal=removal,
                    trash=trash,
                    runs=Runs(database),
                    mounts=VolumeMounts(registry, Volumes(database, tmp_path), images),
                )
                made = container("c1", host=host, **changes)
                await registry.add(made)
                await asyncio.wait_for(body(Moves(transitions, stopping, removal), made), 20)
                assert {row.id: row.state.status for row in database.load(CONTAINERS.select)} == {
                    one.id: one.status for one in registry
                }, "the row says what memory says"
                await transitions.close()
                await removal.close()
        finally:
            database.close()

    return lambda body, **changes: asyncio.run(run(body, changes))


ALWAYS = {"restart_policy": RestartPolicy(name="always")}


def test_a_start_by_the_policy_that_fails_ends_the_restarting(with_container: Callable[..., None]) -> None:
    async def body(moves: Moves, made: Container) -> None:
        async with made.lock:
            await moves.transitions.exited(made, Exited(1, False, 5))
        assert views.state(made).restarting
        await made.ended
        assert made.status == "exited" and "No such image" in made.record.state.error

    with_container(body, state={"status": "running", "started_at": 1}, host=ALWAYS)


def test_a_stop_calls_off_a_restart(with_container: Callable[..., None]) -> None:
    async def body(moves: Moves, made: Container) -> None:
        async with made.lock:
            await moves.transitions.exited(made, Exited(1, False, 5))
        await moves.transitions.stop(made, None, "")
        assert made.status == "exited" and made.restart is None and made.record.state.stopped

    with_container(body, state={"status": "running", "started_at": 1}, host=ALWAYS)


def test_a_start_that_fails_is_told_and_leaves_it_as_created(with_container: Callable[..., None]) -> None:
    async def body(moves: Moves, made: Container) -> None:
        with pytest.raises(NotFound, match="No such image"):
            await moves.transitions.start(made)
        assert made.status == "created" and made.record.state.exit_code == 128

    with_container(body)


def test_a_start_that_fails_in_a_way_of_its_own_is_noted_too(
    with_container: Callable[..., None], tmp_path: Path
) -> None:
    async def body(moves: Moves, made: Container) -> None:
        (tmp_path / "file").touch()
        made.paths = Paths(made.paths.data, tmp_path / "file" / "run")
        with pytest.raises(NotADirectoryError):
            await moves.transitions.start(made)
        assert await made.removed == 128
        assert "cannot start container c1: " in made.record.state.error

    volumes = [MountPoint("volume", "/v", name="v")]
    with_container(body, mounts=volumes, host={"auto_remove": True})


def test_moves_that_a_container_that_does_not_run_refuses(with_container: Callable[..., None]) -> None:
    async def body(moves: Moves, made: Container) -> None:
        with pytest.raises(NotModified, match="container c1 is already stopped"):
            await moves.transitions.stop(made, None, "")
        with pytest.raises(Conflict, match="Container c1 is not running"):
            await moves.stopping.kill(made, "")
        with pytest.raises(Conflict, match="Container c1 is not running"):
            await moves.stopping.pause(made)
        with pytest.raises(Conflict, match="Container c1 is not paused"):
            await moves.stopping.unpause(made)

    with_container(body, state={"status": "exited"})


def test_an_end_removes_what_removes_itself(with_container: Callable[..., None]) -> None:
    async def body(moves: Moves, made: Container) -> None:
        ended = made.ended
        async with made.lock:
            await moves.transitions.exited(made, Exited(3, False, 5))
        assert await made.removed == 3 and await ended == 3

    with_container(body, state={"status": "running", "started_at": 1}, host={"auto_remove": True})


def test_a_claim_takes_the_place_of_the_policies(with_container: Callable[..., None]) -> None:
    async def body(moves: Moves, made: Container) -> None:
        with made.claimed("restart"):
            async with made.lock:
                await moves.transitions.exited(made, Exited(3, False, 5))
        assert made.status == "exited" and made.restart is None and not made.removed.done() and made.claim is None

    running = {"status": "running", "started_at": 1}
    with_container(body, state=running, host=ALWAYS)


def test_a_removal_goes_before_other_claims(with_container: Callable[..., None]) -> None:
    async def body(moves: Moves, made: Container) -> None:
        with made.claimed("restart"):
            await moves.removal.remove(made, force=False, volumes=False)
        assert made.claim == "removal"
        with pytest.raises(NotFound):
            await moves.transitions.start(made)

    with_container(body, state={"status": "exited"})
