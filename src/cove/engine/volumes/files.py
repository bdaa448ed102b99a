"""The API's requests that look into a volume and copy its files: ``cove volume browse``.

They are those of ``cp``, with the volume's directory for a root: a link in it leads inside.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence

from cove.engine.containers.archives import cleaned, go_mode, go_time, path_stat
from cove.engine.volumes.access import Access
from cove.errors import NotFound
from cove.layers import Worker
from cove.layers.worker.jobs import Browse, BrowseDone, CopyDone, CopyIn, CopyOut, Found, Look, LookDone, View
from cove.layers.worker.staging import written
from cove.volumes import Volumes
from cove.wire.containers import PathStat
from cove.wire.volume_copies import VolumeFile


class VolumeFiles:
    """``worker``: where the work is done."""

    def __init__(self, volumes: Volumes, worker: Worker, access: Access) -> None:
        self._volumes = volumes
        self._worker = worker
        self._access = access

    async def list(self, name: str, path: str, tag: str) -> Sequence[VolumeFile]:
        async with self._view(name, tag) as view:
            with _missing(name, path):
                done = await self._worker.run(Browse(view, cleaned(path)), BrowseDone)
        return [_shown(found) for found in done.found]

    async def stat(self, name: str, path: str, tag: str) -> PathStat:
        async with self._view(name, tag) as view:
            with _missing(name, path):
                return path_stat(await self._worker.run(Look(view, cleaned(path)), LookDone))

    async def get(self, name: str, path: str, tag: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        found = await self.stat(name, path, tag)
        return found, self._copied(name, path, tag)

    async def _copied(self, name: str, path: str, tag: str) -> AsyncIterator[bytes]:
        async with self._view(name, tag) as view:
            chunks = self._worker.output(CopyOut(view, cleaned(path)), CopyDone)
            async with contextlib.aclosing(chunks):
                async for chunk in chunks:
                    yield chunk

    async def put(self, name: str, path: str, chunks: AsyncIterator[bytes]) -> None:
        async with self._view(name, "") as view:
            with _missing(name, path):
                await self._worker.run_stream(CopyIn(view, cleaned(path)), CopyDone, chunks)

    @contextlib.asynccontextmanager
    async def _view(self, name: str, tag: str) -> AsyncIterator[View]:
        if tag:
            self._volumes.get(name)
            yield View(False, [], str(self._volumes.snapshots.path(name, tag)), "", "")
            return
        async with self._access.to(name) as own:
            yield View(False, [], own.path, "", "", staged=written(own.staged))


def _shown(found: Found) -> VolumeFile:
    return VolumeFile(
        name=found.name,
        size=found.size,
        mode=go_mode(found.mode),
        modified=go_time(found.mtime),
        uid=found.uid,
        gid=found.gid,
        target=found.target,
    )


@contextlib.contextmanager
def _missing(name: str, path: str) -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        if error.message.startswith("get "):
            raise
        raise NotFound(f"Could not find the file {path} in volume {name}") from error
