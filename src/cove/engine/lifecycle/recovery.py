"""What a daemon finds when it starts: containers that live on, ends that nobody noted, things half made."""

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from cove.engine.containers.container import Container, Locations
from cove.engine.containers.record import CONTAINERS
from cove.engine.containers.registry import Registry
from cove.engine.lifecycle import restarts, shims
from cove.engine.lifecycle.shims import Shim
from cove.engine.lifecycle.stopping import Stopping
from cove.engine.lifecycle.transitions import Transitions
from cove.engine.networking.connectivity import Connectivity, network_mode
from cove.engine.networking.link_exceptions import LinkExceptions
from cove.engine.networking.nameservice import NameService
from cove.engine.removing.removal import Removal
from cove.engine.volumes.mounts import VolumeMounts
from cove.errors import CoveError, NotFound
from cove.network import Networks, parse_policy
from cove.runtime.messages import Exited, decode
from cove.store import Database

log = logging.getLogger(__name__)

ADOPTION_TIMEOUT = 5.0
"""Seconds that a shim gets to say who it is."""


class Recovery:
    """Brings records, processes, networks and directories into agreement, once, before the API opens."""

    def __init__(
        self,
        *,
        database: Database,
        registry: Registry,
        transitions: Transitions,
        stopping: Stopping,
        removal: Removal,
        networks: Networks,
        names: NameService,
        connectivity: Connectivity,
        exceptions: LinkExceptions,
        mounts: VolumeMounts,
        locations: Locations,
    ) -> None:
        self._database = database
        self._registry = registry
        self._transitions = transitions
        self._stopping = stopping
        self._removal = removal
        self._networks = networks
        self._names = names
        self._connectivity = connectivity
        self._exceptions = exceptions
        self._mounts = mounts
        self._locations = locations
        self._planned: set[str] = set()  # their starts were planned when the last daemon went

    def load(self) -> None:
        """Read the rows, and delete the directories that have none. Before the first ``Database.run``."""
        for record in self._database.load(CONTAINERS.select):
            self._registry.restore(Container(record, self._locations.paths(record.id)))
        for directory in self._locations.containers.iterdir():
            if directory.name not in self._registry:
                shutil.rmtree(directory, ignore_errors=True)
        self._note_shared_networks()

    async def reconcile(self) -> None:
        """Adopt living containers, note ends, give networks back what they lost, then apply restart policies."""
        found = {container.id: await self._shim(container) for container in self._registry}
        for container in self._registry:
            if container.paths.run.is_dir():
                await self._mounts.adopt(container)
        await self._mounts.access.end_left()
        namespaces: dict[str, int] = {}
        try:
            for container in self._registry:
                await self._settle(container, found[container.id], namespaces)
            await self._reconnect(namespaces)
            await self._police(namespaces)
            await self._allow_links(namespaces)
            await self._names.restore(namespaces)
        finally:
            for descriptor in namespaces.values():
                os.close(descriptor)
        await self._collect_runs()

    async def apply_policies(self) -> None:
        """Start what should run and does not, and remove what should be gone."""
        for container in self._registry:
            record = container.record
            if container.running:
                continue
            if record.host_config.auto_remove and record.state.finished_at:
                with contextlib.suppress(CoveError):
                    await self._removal.remove(container, force=True, volumes=True)
            elif container.id in self._planned or (
                record.state.started_at and restarts.wanted_at_boot(record.host_config.restart_policy, record.state)
            ):
                await self._transitions.start_at_boot(container)

    async def _shim(self, container: Container) -> Shim | None:
        if not container.paths.run.is_dir():
            return None
        try:
            return await shims.adopt(container.id, container.paths.run)
        except NotFound:
            return None

    async def _settle(self, container: Container, shim: Shim | None, namespaces: dict[str, int]) -> None:
        if shim is not None and await self._adopt(container, shim, namespaces):
            return
        state = container.record.state
        exited = _exit_record(container.paths.run)
        if state.status == "restarting":
            self._planned.add(container.id)
            state.status = "exited"
        if exited is not None and state.status == "exited" and state.finished_at == exited.finished_at:
            return  # noted, and told of; only its run directory is left
        if exited is not None and state.status in ("created", "exited"):
            state.started_at = state.started_at or exited.finished_at
        if exited is None and not container.running and container.paths.run.is_dir():
            await self._stopping.collect_cgroup(container)  # of a start whose shim was killed as the daemon was
            await self._mounts.ended(container)
        if container.running or exited is not None:
            async with container.lock:
                with container.claimed("recovery"):  # auto-removal and policies follow once everything is settled
                    await self._transitions.exited(container, exited)

    async def _adopt(self, container: Container, shim: Shim, namespaces: dict[str, int]) -> bool:
        """Go on with a running container; False when it is not, or its start was never finished."""
        try:
            answer, namespace = await asyncio.wait_for(shim.query(), ADOPTION_TIMEOUT)
        except (CoveError, TimeoutError) as error:
            log.warning("container %s: %s", container.id[:12], error)
            shim.close()
            return False
        if answer.started_at is None:
            if namespace is not None:
                os.close(namespace)
            await self._give_up(shim)
            return False
        state = container.record.state
        state.started_at = answer.started_at
        if state.status != "paused" or state.held:
            try:
                await self._stopping.let_go_on(container)
            except CoveError as error:
                log.error("container %s: it may be frozen: %s", container.id[:12], error)
            state.status, state.held = "running", False
        if namespace is not None:
            namespaces[container.id] = namespace
        self._transitions.adopt(container, shim, answer.pid)
        await self._registry.save(container)
        return True

    async def _give_up(self, shim: Shim) -> None:
        """A start that its daemon did not live to finish is abandoned by the shim itself; wait for that."""
        with contextlib.suppress(TimeoutError, CoveError):
            await asyncio.wait_for(asyncio.shield(shim.exited), ADOPTION_TIMEOUT)

    async def _reconnect(self, namespaces: dict[str, int]) -> None:
        for container_id, restored in (await self._networks.reconcile(namespaces)).items():
            container = self._registry.get(container_id)
            try:
                await self._connectivity.apply(container, restored)
            except CoveError as error:
                log.error("container %s: its network could not be restored: %s", container_id[:12], error)

    def _note_shared_networks(self) -> None:
        """The namespaces that may be kept by others than their owners."""
        for container in self._registry:
            owner = network_mode(container).partition("container:")[2]
            if owner in self._registry:
                self._registry.get(owner).network_shared = True

    async def _police(self, running: Mapping[str, int]) -> None:
        """Egress policies hold on in the kernel; those that are no one's any more go."""
        given = {known: parse_policy(self._registry.get(known).record.host_config.egress) for known in running}
        policies = {known: policy for known, policy in given.items() if policy is not None}
        try:
            await self._networks.policing.resume(policies)
        except (CoveError, OSError) as error:
            log.error("egress policies: %s", error)

    async def _allow_links(self, running: Iterable[str]) -> None:
        try:
            await self._exceptions.apply_all(self._registry.get(known) for known in running)
        except OSError as error:
            log.error("links between containers: %s", error)

    async def _collect_runs(self) -> None:
        """Delete run directories of containers that do not run, and end shims of containers that no longer exist."""
        for directory in self._locations.runs.iterdir():
            if directory.name in self._registry:
                if not self._registry.get(directory.name).running:
                    shutil.rmtree(directory, ignore_errors=True)
                continue
            with contextlib.suppress(CoveError):
                shim = await shims.adopt(directory.name, directory)
                await shim.signal(9)
                await asyncio.wait_for(asyncio.shield(shim.exited), ADOPTION_TIMEOUT)
            shutil.rmtree(directory, ignore_errors=True)


def _exit_record(run: Path) -> Exited | None:
    """The end that a shim wrote down while no daemon listened."""
    try:
        message = decode((run / "exit.json").read_bytes())
    except (OSError, ValueError):
        return None
    return message if isinstance(message, Exited) else None
