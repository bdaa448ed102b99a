"""The API's requests that look into a volume and copy its files: ``cove volume browse``.

They are those of ``cp``, with the volume's directory for a root: a link in it leads inside.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence

from cove.engine.containers.archives import cleaned, go_mode, go_time, path_stat
from cove.errors import InvalidArgument, NotFound
from cove.layers import Worker
from cove.layers.worker.jobs import Browse, BrowseDone, CopyDone, CopyIn, CopyOut, Found, Look, LookDone, View
from cove.volumes import Volumes
from cove.wire.containers import PathStat
from cove.wire.volume_copies import VolumeFile


class VolumeFiles:
    """``worker``: where the work is done."""

    def __init__(self, volumes: Volumes, worker: Worker) -> None:
        self._volumes = volumes
        self._worker = worker

    async def list(self, name: str, path: str, tag: str) -> Sequence[VolumeFile]:
        with _missing(name, path):
            done = await self._worker.run(Browse(self._view(name, tag), cleaned(path)), BrowseDone)
        return [_shown(found) for found in done.found]

    async def stat(self, name: str, path: str, tag: str) -> PathStat:
        with _missing(name, path):
            return path_stat(await self._worker.run(Look(self._view(name, tag), cleaned(path)), LookDone))

    async def get(self, name: str, path: str, tag: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        found = await self.stat(name, path, tag)
        return found, self._worker.output(CopyOut(self._view(name, tag), cleaned(path)), CopyDone)

    async def put(self, name: str, path: str, chunks: AsyncIterator[bytes]) -> None:
        with _missing(name, path):
            await self._worker.run_stream(CopyIn(self._view(name, ""), cleaned(path)), CopyDone, chunks)

    def _view(self, name: str, tag: str) -> View:
        record = self._volumes.get(name)
        if not self._volumes.is_directory(record):
            raise InvalidArgument(f"volume {name} is not a directory of this engine: its files are its driver's")
        place = self._volumes.snapshots.path(name, tag) if tag else self._volumes.path(name)
        return View(False, [], str(place), "", "")


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
