"""A container while the daemon runs: its record, and what lives only as long as its processes do."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from cove.engine.containers.record import Record, Status
from cove.engine.lifecycle.shims import Shim
from cove.errors import Conflict
from cove.runtime.messages import Attachment


class Paths(NamedTuple):
    """Where a container keeps its things. ``data``: until it is removed; ``run``: while it runs."""

    data: Path
    run: Path

    def discard(self) -> None:
        """Delete both directories."""
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.run, ignore_errors=True)

    @property
    def bounded(self) -> Path:
        """Of a container that may take only so much: what is bounded."""
        return self.data / "writable"

    @property
    def upper(self) -> Path:
        return (self.bounded if self.bounded.is_dir() else self.data) / "upper"

    @property
    def work(self) -> Path:
        return (self.bounded if self.bounded.is_dir() else self.data) / "work"

    @property
    def root(self) -> Path:
        return self.data / "rootfs"

    @property
    def places(self) -> Path:
        """Of mounts that are parts of something else; nothing lies in there."""
        return self.data / "mounts"

    @property
    def json_log(self) -> Path:
        return self.data / f"{self.data.name}-json.log"

    @property
    def block_log(self) -> Path:
        """Of the driver ``local``, and what is kept beside one that sends."""
        return self.data / "container.log"

    @property
    def hosts(self) -> Path:
        return self.data / "hosts"

    @property
    def hostname(self) -> Path:
        return self.data / "hostname"

    @property
    def resolv_conf(self) -> Path:
        return self.data / "resolv.conf"


class Locations(NamedTuple):
    """The directories of a daemon that containers have theirs in."""

    data: Path
    run: Path

    @property
    def containers(self) -> Path:
        return self.data / "containers"

    @property
    def runs(self) -> Path:
        return self.run / "containers"

    def paths(self, container_id: str) -> Paths:
        return Paths(self.containers / container_id, self.runs / container_id)


Claim = Literal["restart", "remedy", "recovery", "removal"]
"""What decides, in place of the policies, about a container whose run ends."""


class Container:
    """One container. ``lock`` is held while its state changes; ``removed`` is done once it is gone.

    ``claim``: set while a request that is under way decides what follows the end of the run. A removal is not undone
    by others: nothing starts it, and no other claim takes its place. ``network_shared``: another container is, or was,
    in its network namespace, which may therefore outlive it.
    """

    def __init__(self, record: Record, paths: Paths) -> None:
        loop = asyncio.get_running_loop()
        self.record = record
        self.paths = paths
        self.lock = asyncio.Lock()
        self.shim: Shim | None = None
        self.pid = 0
        self.execs: set[str] = set()
        self.waiting: list[tuple[Attachment, socket.socket]] = []
        self.removed: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()
        self.restart: asyncio.Task[None] | None = None
        self.restart_delay = 0.0
        self.claim: Claim | None = None
        self.writes = 0  # how often a client has put files into it
        self.network_shared = False

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def attributes(self) -> dict[str, str]:
        """What every event about it tells."""
        record = self.record
        return {**(record.config.labels or {}), "image": record.image_name, "name": record.name}

    @property
    def status(self) -> Status:
        return self.record.state.status

    @property
    def log(self) -> Path:
        """The newest file of its output, if its log driver keeps any."""
        json = self.record.host_config.log_config.type in ("", "json-file")
        return self.paths.json_log if json else self.paths.block_log

    @property
    def running(self) -> bool:
        """Its program runs, or is paused."""
        return self.status in ("running", "paused")

    def require_shim(self) -> Shim:
        """The shim of a running container. Raises Conflict in Docker's words."""
        if self.status == "restarting":
            raise Conflict(f"Container {self.id} is restarting, wait until the container is running")
        if self.shim is None or not self.running:
            raise Conflict(f"Container {self.id} is not running")
        return self.shim

    @contextlib.contextmanager
    def claimed(self, claim: Claim) -> Iterator[None]:
        """While its run is ended for a purpose of the caller's; a removal goes before it, and stays."""
        if self.claim is None:
            self.claim = claim
        try:
            yield
        finally:
            if self.claim == claim:
                self.claim = None

    def cancel_restart(self) -> bool:
        """Call off a start that a policy has planned; whether there was one."""
        planned, self.restart = self.restart, None
        if planned is not None and not planned.done():
            planned.cancel()
            return True
        return False

    def end(self, exit_code: int) -> None:
        """Tell everyone who waits that this run has ended."""
        ended, self.ended = self.ended, asyncio.get_running_loop().create_future()
        if not ended.done():
            ended.set_result(exit_code)

    def take_waiting(self) -> list[tuple[Attachment, socket.socket]]:
        """The attachments that were made before the start."""
        taken, self.waiting = self.waiting, []
        return taken

    def drop_waiting(self) -> None:
        for _, stream in self.take_waiting():
            stream.close()
