"""What a RUN mounts: binds of other stages and of the context, caches, tmpfs, secrets and ssh agents.

Secrets are written below the run root, for as long as the program runs, and never below the data root.
"""

import asyncio
import hashlib
import itertools
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cove.build.cache.cache import Cache, Record
from cove.build.planning.graph import MountOption, Run
from cove.build.solving.running import StepMount
from cove.errors import InvalidArgument


class Secrets(Protocol):
    """What the client lends for the time of a build."""

    async def secret(self, name: str) -> bytes | None:
        """The bytes of a secret, None when the client has none of this name."""

    async def agent(self, name: str, socket: Path) -> bool:
        """Serve the client's ssh agent at a socket that is made there, until the build ends; False: it has none."""


@dataclass
class Prepared:
    """What a command is given."""

    mounts: list[StepMount] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)


Fill = Callable[[Sequence[str], str, str], Awaitable[None]]
"""Copies what layers have at a path into a directory that is empty."""


class Mounts:
    """``run_root``: a directory of this build's below the run root; it is made when it is needed."""

    def __init__(self, cache: Cache, secrets: Secrets, run_root: Path, locks: "MountLocks", fill: Fill) -> None:
        self._cache = cache
        self._secrets = secrets
        self._run_root = run_root
        self._locks = locks
        self._fill = fill

    @asynccontextmanager
    async def prepared(self, run: Run, container: str, trees: Mapping[int, list[str]]) -> AsyncIterator[Prepared]:
        """Everything that a RUN mounts, while it runs. ``trees``: by number of the mount. Raises InvalidArgument."""
        made = Prepared()
        place = self._run_root / container[:12]
        async with AsyncExitStack() as stack:
            if run.extra_files or any(mount.type in ("secret", "ssh") for mount in run.mounts):
                place.mkdir(mode=0o700, parents=True)
                stack.callback(shutil.rmtree, place, ignore_errors=True)
            for number, (path, content) in enumerate(run.extra_files):
                file = _write(place / f"file-{number}", content, 0o755, (0, 0))
                made.mounts.append(StepMount("bind", path, str(file), writable=False))
            for number, mount in enumerate(run.mounts):
                await self._prepare(mount, number, place, trees.get(number), made, stack)
            yield made

    async def _prepare(
        self,
        mount: MountOption,
        number: int,
        place: Path,
        lower: list[str] | None,
        made: Prepared,
        stack: AsyncExitStack,
    ) -> None:
        if mount.type == "tmpfs":
            made.mounts.append(StepMount("tmpfs", mount.target, size=mount.size))
        elif mount.type == "secret":
            await self._secret(mount, place / f"secret-{number}", made)
        elif mount.type == "ssh":
            await self._agent(mount, place / f"agent-{number}", made)
        elif mount.type == "cache":
            directory = await stack.enter_async_context(self._locks.held(self._cache, mount))
            if lower:  # from=: what it begins with
                await self._fill(lower, mount.source, directory)
            made.mounts.append(StepMount("bind", mount.target, directory, writable=not mount.readonly))
        else:
            assert lower is not None
            made.mounts.append(_bind(mount, lower))

    async def _secret(self, mount: MountOption, file: Path, made: Prepared) -> None:
        value = await self._secrets.secret(mount.id)
        if value is None:
            if mount.required:
                raise InvalidArgument(f"secret {mount.id}: not found")
            return
        if mount.env is not None:
            made.environment.append(f"{mount.env}={value.decode('utf-8', 'surrogateescape')}")
        if mount.target:
            mode = 0o400 if mount.mode is None else mount.mode
            _write(file, value, mode, (mount.uid, mount.gid))
            made.mounts.append(StepMount("bind", mount.target, str(file), writable=False))

    async def _agent(self, mount: MountOption, socket: Path, made: Prepared) -> None:
        if not await self._secrets.agent(mount.id, socket):
            if mount.required:
                raise InvalidArgument(f"unset ssh forward key {mount.id}")
            return
        os.chmod(socket, 0o600 if mount.mode is None else mount.mode)
        os.chown(socket, mount.uid, mount.gid)
        made.mounts.append(StepMount("bind", mount.target, str(socket)))
        made.environment.append(f"SSH_AUTH_SOCK={mount.target}")


def _bind(mount: MountOption, lower: list[str]) -> StepMount:
    return StepMount(
        "layers",
        mount.target,
        lower=tuple(lower),
        subpath=mount.source,
        writable=not mount.readonly,
    )


def _write(path: Path, content: bytes, mode: int, owner: tuple[int, int]) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
        os.fchown(file.fileno(), *owner)
    return path


class MountLocks:
    """The cache mounts that are in use, of all builds: who may use one at the same time is its ``sharing``."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}

    @asynccontextmanager
    async def held(self, cache: Cache, mount: MountOption) -> AsyncIterator[str]:
        """The directory of a cache mount, while it is used."""
        name = hashlib.sha256(mount.id.encode()).hexdigest()[:32]
        async with AsyncExitStack() as stack:
            if mount.sharing == "locked":
                await stack.enter_async_context(self._locks.setdefault(name, asyncio.Lock()))
            if mount.sharing == "private":
                others = (f"{name}-{number}" for number in itertools.count(1))
                name = next(each for each in itertools.chain([name], others) if not self._users.get(each))
            self._users[name] = self._users.get(name, 0) + 1
            cache.in_use.add(name)
            try:
                yield str(_directory(cache, name, mount))
            finally:
                self._users[name] -= 1
                if not self._users[name]:
                    del self._users[name]
                    cache.in_use.discard(name)


def _directory(cache: Cache, name: str, mount: MountOption) -> Path:
    place = cache.mounts / name
    if cache.find(name) is None:
        now = time.time_ns()
        cache.note(
            Record(name, "exec.cachemount", f"cached mount {mount.target} with id {mount.id}", now, now, directory=name)
        )
    if not place.exists():
        place.mkdir(mode=0o755)
        place.chmod(0o755 if mount.mode is None else mount.mode)
        os.chown(place, mount.uid, mount.gid)
    return place
