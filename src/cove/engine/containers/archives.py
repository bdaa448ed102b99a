"""The API's requests that move a container's files: ``cp`` both ways, and ``export``.

The files are read and written by jobs of the layers' worker. A stopped container is locked meanwhile, so that it is not
started on a root that the job has mounted; a running one only while it is written to.
"""

import contextlib
import os
import posixpath
import stat
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from cove.engine.bundle.bundles import Bundles
from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.events.announcements import Announcements
from cove.engine.volumes.mounts import NOTHING_MOUNTED, Mounted, VolumeMounts
from cove.errors import InvalidArgument, NotFound
from cove.images import Images
from cove.kernel import namespaces
from cove.layers import Worker
from cove.layers.worker.jobs import Bind, CopyDone, CopyIn, CopyOut, Export, Look, LookDone, View
from cove.layers.worker.staging import written
from cove.wire.containers import PathStat

_GO_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
}
_GO_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}
"""How Go's os.FileMode says what the kernel's mode says."""


class Archives:
    """``worker``: where the work is done."""

    def __init__(
        self,
        *,
        registry: Registry,
        announcements: Announcements,
        images: Images,
        bundles: Bundles,
        worker: Worker,
        mounts: VolumeMounts,
    ) -> None:
        self._registry = registry
        self._announcements = announcements
        self._images = images
        self._bundles = bundles
        self._worker = worker
        self._mounts = mounts

    async def stat(self, ref: str, path: str) -> PathStat:
        return path_stat(await self._look(self._registry.get(ref), ref, path))

    async def get(self, ref: str, path: str, name: str = "") -> tuple[PathStat, AsyncIterator[bytes]]:
        container = self._registry.get(ref)
        if "/" in name or name == ".." or "\0" in name:
            raise InvalidArgument(f"rootName: {name!r} is not a name")
        found = await self.stat(ref, path)
        found.name = name or found.name
        self._announcements.publish(container, "archive-path")
        return found, self._copied(container, ref, path, name)

    async def put(
        self, ref: str, path: str, chunks: AsyncIterator[bytes], *, no_overwrite_dir_non_dir: bool, copy_uid_gid: bool
    ) -> None:
        container = self._registry.get(ref)
        async with self._view(container, write=True) as (view, namespace):
            owner = container.record.config.user or "" if copy_uid_gid else ""
            job = CopyIn(view, cleaned(path), same_kind=no_overwrite_dir_non_dir, owner=owner)
            with _missing(ref, path):
                container.writes += 1
                try:
                    await self._worker.run_stream(job, CopyDone, chunks, namespace=namespace)
                finally:
                    container.writes += 1
        self._announcements.publish(container, "extract-to-dir")

    async def export(self, ref: str) -> AsyncIterator[bytes]:
        container = self._registry.get(ref)
        self._announcements.publish(container, "export")
        return self._exported(container)

    async def _look(self, container: Container, ref: str, path: str) -> LookDone:
        async with self._view(container) as (view, namespace):
            with _missing(ref, path):
                return await self._worker.run(Look(view, cleaned(path)), LookDone, namespace=namespace)

    async def _copied(self, container: Container, ref: str, path: str, name: str) -> AsyncIterator[bytes]:
        async with self._view(container) as (view, namespace):
            chunks = self._worker.output(CopyOut(view, cleaned(path), name), CopyDone, namespace)
            async with contextlib.aclosing(chunks):
                with _missing(ref, path):
                    async for chunk in chunks:
                        yield chunk

    async def _exported(self, container: Container) -> AsyncIterator[bytes]:
        async with self._view(container) as (view, namespace):
            chunks = self._worker.output(Export(view), CopyDone, namespace)
            async with contextlib.aclosing(chunks):
                async for chunk in chunks:
                    yield chunk

    @contextlib.asynccontextmanager
    async def _view(self, container: Container, write: bool = False) -> AsyncIterator[tuple[View, int | None]]:
        """How a job sees the container's files; for a running one with a descriptor of its mount namespace."""
        async with contextlib.AsyncExitStack() as stack:
            lock = await stack.enter_async_context(contextlib.AsyncExitStack())
            await lock.enter_async_context(self._registry.locked(container))
            namespace = open_mount_namespace(container)
            if namespace is not None:
                stack.callback(os.close, namespace)
                if not write:
                    await lock.aclose()
            mounted = NOTHING_MOUNTED
            if namespace is None:
                stack.push_async_callback(self._mounts.ended, container)
                mounted = await stack.enter_async_context(self._mounts.beginning(container))
            yield await self._described(container, namespace is not None, mounted), namespace

    async def _described(self, container: Container, entered: bool, mounted: Mounted) -> View:
        record, paths = container.record, container.paths
        lower = await self._images.lower_directories(record.image)
        return View(
            entered=entered,
            lower=[str(directory) for directory in lower],
            upper=str(paths.upper),
            work=str(paths.work),
            root=str(paths.root),
            binds=self._binds(container, mounted),
            staged=written(mounted.staged),
            read_only=bool(record.host_config.readonly_rootfs),
        )

    def _binds(self, container: Container, mounted: Mounted) -> list[Bind]:
        """The mounts that a stopped container has files in: its tmpfs are gone."""
        mounts = container.record.mounts
        asked = {mount.destination for mount in mounts}
        etc = [
            Bind(source, destination)
            for destination, source in self._bundles.etc_files(container).items()
            if destination not in asked
        ]
        binds = [
            Bind(mounted.sources.get(mount.destination, mount.source), mount.destination, mount.writable)
            for mount in mounts
            if mount.kind in ("bind", "volume", "image")
        ]
        return etc + sorted(binds, key=lambda bind: bind.destination.count("/"))


def open_mount_namespace(container: Container) -> int | None:
    """A descriptor of the running container's mount namespace; None when it does not run (any more)."""
    if not container.running:
        return None
    try:
        descriptor = namespaces.open_namespace(container.pid, "mount")
        groups = Path(f"/proc/{container.pid}/cgroup").read_text()
    except OSError:
        return None
    if container.id in groups:  # else it has died, and another process has its number
        return descriptor
    os.close(descriptor)
    return None


def cleaned(path: str) -> str:
    """The path from the root in its shortest form; what is said by a slash or a dot at its end stays."""
    normal = "/" + posixpath.normpath(f"/{path}").lstrip("/")
    if posixpath.basename(path.rstrip("/")) == ".":
        return f"{normal.rstrip('/')}/."
    return f"{normal}/" if path.endswith("/") and normal != "/" else normal


def path_stat(found: LookDone) -> PathStat:
    """What there is, as the API has it."""
    return PathStat(
        name=found.name,
        size=found.size,
        mode=go_mode(found.mode),
        mtime=go_time(found.mtime),
        link_target=found.target,
    )


def go_mode(mode: int) -> int:
    """A mode of the kernel as Go's os.FileMode."""
    bits = sum(go for bit, go in _GO_BITS.items() if mode & bit)
    return mode & 0o777 | bits | _GO_KINDS.get(stat.S_IFMT(mode), 0)


def go_time(nanoseconds: int) -> str:
    """RFC 3339 with as many digits as there are, as Go writes it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


@contextlib.contextmanager
def _missing(ref: str, path: str) -> Iterator[None]:
    """A path that is not there, in Docker's words."""
    try:
        yield
    except NotFound as error:
        raise NotFound(f"Could not find the file {path} in container {ref}") from error
