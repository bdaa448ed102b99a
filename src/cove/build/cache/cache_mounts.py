"""Cache mounts that travel: all of them in one archive, for machines that begin with nothing, such as those of CI."""

import asyncio
import contextlib
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

from cove.build.cache.cache import Cache, Record
from cove.layers import Worker
from cove.layers.worker.tree_jobs import BackUp, Restore, TreeDone

_NAME = re.compile(r"[0-9a-f]{32}(-[0-9]{1,6})?")
"""A cache mount's directory: of its id, and which of several private ones it is."""


class CacheMounts:
    """``scratch``: a directory of the same file system as the cache's."""

    def __init__(self, cache: Cache, worker: Worker, scratch: Path) -> None:
        self._cache = cache
        self._worker = worker
        self._scratch = scratch

    async def archive(self) -> AsyncIterator[bytes]:
        """A tar.zst with the files of every cache mount. What steps write meanwhile may be in it or not."""
        output = self._worker.output(BackUp(str(self._cache.mounts)), TreeDone)
        async with contextlib.aclosing(output):
            async for chunk in output:
                yield chunk

    async def take(self, chunks: AsyncIterator[bytes]) -> int:
        """Take those of an archive that have no files here; how many that were. Raises InvalidArgument."""
        place = self._scratch / f"mounts-{secrets.token_hex(8)}"
        try:
            await self._worker.run_stream(Restore(str(place)), TreeDone, chunks)
            taken = await asyncio.to_thread(self._moved, place)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, place, ignore_errors=True))
        now = time.time_ns()
        for name in taken:
            if self._cache.find(name) is None:
                record = Record(name, "exec.cachemount", "cached mount that was imported", now, now, directory=name)
                self._cache.note(record)
        return len(taken)

    def _moved(self, place: Path) -> list[str]:
        """Put directories where no step has left anything; rename(2) replaces a directory only when it is empty."""
        taken = []
        for directory in sorted(place.iterdir()):
            if not _NAME.fullmatch(directory.name) or directory.is_symlink() or not directory.is_dir():
                continue
            if directory.name in self._cache.in_use:
                continue
            with contextlib.suppress(OSError):
                directory.rename(self._cache.mounts / directory.name)
                taken.append(directory.name)
        return taken
