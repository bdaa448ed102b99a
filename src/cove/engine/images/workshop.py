"""A container in which a program works on a root file system that is becoming an image's.

The root is the container's own layer, not an image below it: a program that replaces every file of a lower layer has
the kernel copy each of them first, and wait for the disk. The container has no network, and a label by which the next
start finds what a killed daemon left: it, and its empty image.
"""

import asyncio
import contextlib
import functools
import secrets
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from cove.engine.containers.archives import Archives
from cove.engine.containers.containers import Containers
from cove.engine.containers.registry import Registry
from cove.engine.lifecycle.lifecycle import Lifecycle
from cove.engine.removing.removal import Removal
from cove.errors import CoveError, Unavailable
from cove.images import Images as ImageStore
from cove.seccomp.default import DEFAULT
from cove.seccomp.profile import Call
from cove.store import in_thread
from cove.wire.containers import ContainerCreate
from cove.wire.host_config import HostConfig

LABEL = "cove.workshop"
CHUNK = 1 << 20
SYNCING = frozenset({"fsync", "fdatasync", "sync", "syncfs", "sync_file_range"})

LOG_LINES = 15
"""Of a program that failed, for whoever asked."""


class ContainerWorkshop:
    """Meets ``cove.images.bootstrap.workshop.Workshop``."""

    def __init__(self, containers: Containers, lifecycle: Lifecycle, archives: Archives, store: ImageStore) -> None:
        self._containers = containers
        self._lifecycle = lifecycle
        self._archives = archives
        self._store = store

    async def run(self, root: Path, argv: list[str], environment: list[str], log: str, result: Path) -> None:
        request = ContainerCreate(cmd=argv, env=environment, user="0:0")
        async with self.filled(root, request) as container:
            code = await self.ended(container, 0)
            if code:
                said = await self._tail(container, log)
                raise Unavailable(f"{Path(argv[0]).name} in the new root ended with {code}:\n{said}")
            await self.save(container, result)

    @asynccontextmanager
    async def filled(self, root: Path, request: ContainerCreate) -> AsyncIterator[str]:
        """The id of a container with this root, an uncompressed tar, as its own layer; removed at the end."""
        image = await self._store.import_(_nothing(), message="workshop", changes=[f"LABEL {LABEL}=1"])
        try:
            async with self.container(image.id, request) as container:
                await self._archives.put(
                    container, "/", _chunks(root), no_overwrite_dir_non_dir=False, copy_uid_gid=False
                )
                yield container
        finally:
            await asyncio.shield(_remove_image(self._store, image.id))

    @asynccontextmanager
    async def container(self, image: str, request: ContainerCreate) -> AsyncIterator[str]:
        """The id of a container of an image, removed at the end."""
        request = msgspec.structs.replace(
            request,
            image=image,
            labels={LABEL: "1"},
            host_config=HostConfig(network_mode="none", security_opt=[f"seccomp={_filter()}"]),
        )
        made = await self._containers.create(request, name=f"cove-workshop-{secrets.token_hex(4)}", platform="")
        try:
            yield made.id
        finally:
            await asyncio.shield(self._remove_container(made.id))

    async def ended(self, container: str, seconds: float) -> int:
        """Run it to its end: its exit code. It is stopped after so many seconds, if any, and -1 is its code then."""
        await self._lifecycle.start(container, detach_keys="")
        waiting = asyncio.ensure_future(await self._lifecycle.wait(container, "not-running"))
        done, _ = await asyncio.wait((waiting,), timeout=seconds or None)
        if not done:
            await self._lifecycle.stop(container, timeout=2, signal="")
        code = (await waiting).status_code
        return code if done else -1

    async def save(self, container: str, result: Path) -> None:
        """Write its root as a tar."""
        with result.open("wb") as file:
            async for chunk in await self._archives.export(container):
                await in_thread(file.write, chunk)

    async def _tail(self, container: str, log: str) -> str:
        """The last lines of a file; nothing when there is none."""
        content = bytearray()
        with contextlib.suppress(CoveError, tarfile.TarError):
            _, chunks = await self._archives.get(container, log)
            async for chunk in chunks:
                content += chunk
                del content[: -(1 << 20)]
        lines = bytes(content).rstrip(b"\0").decode(errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:])

    async def _remove_container(self, container: str) -> None:
        await self._containers.remove(container, force=True, volumes=True, link=False, now=True)


async def collect(registry: Registry, removal: Removal, store: ImageStore) -> None:
    """Remove the containers and images of workshops that a killed daemon left. Only at start-up."""
    for container in list(registry):
        if (container.record.config.labels or {}).get(LABEL):
            await removal.remove(container, force=True, volumes=True, now=True)
    for listed in store.select():
        config = listed.image.config.config
        if config is not None and (config.labels or {}).get(LABEL):
            await _remove_image(store, listed.image.id)


async def _remove_image(store: ImageStore, image: str) -> None:
    with contextlib.suppress(CoveError):
        await store.remove(image, force=True, in_use=lambda image_id: [])


@functools.cache
def _filter() -> str:
    """The default filter of system calls, but that waiting for the disk succeeds at once.

    dpkg waits for it some hundred times, for files that are to be read back at the end and then removed.
    """
    calls = [
        msgspec.structs.replace(call, names=[name for name in call.names or [] if name not in SYNCING])
        for call in DEFAULT.syscalls or []
    ]
    ignored = Call("SCMP_ACT_ERRNO", sorted(SYNCING), errno_ret=0)
    return msgspec.json.encode(msgspec.structs.replace(DEFAULT, syscalls=[*calls, ignored])).decode()


async def _nothing() -> AsyncIterator[bytes]:
    """A tar without entries."""
    yield bytes(2 * tarfile.BLOCKSIZE)


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await in_thread(file.read, CHUNK):
            yield chunk
