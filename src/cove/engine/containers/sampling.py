"""One reader for all who watch: each watched container is looked at once a second, however many streams show it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from cove.engine.containers.container import Container
from cove.wire.stats import Stats

INTERVAL = 1.0
"""Seconds between two samples, Docker's."""


class Watched:
    """A container with readers, who wait for ``fresh`` and find the sample in ``latest``."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.readers = 0
        self.latest: Stats | None = None
        self.fresh: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def show(self, sample: Stats) -> None:
        self.latest = sample
        shown, self.fresh = self.fresh, asyncio.get_running_loop().create_future()
        shown.set_result(None)


class Sampler:
    """Works while somebody watches, and then on what is watched alone. ``take``: a sample of now."""

    def __init__(self, take: Callable[[Container], Stats]) -> None:
        self._take = take
        self._watched: dict[str, Watched] = {}
        self._rounds: asyncio.Task[None] | None = None

    async def samples(self, container: Container) -> AsyncGenerator[Stats, None]:
        """Its samples until it is removed, the newest one at once. A reader that lags misses some."""
        watched = self._watched.setdefault(container.id, Watched(container))
        watched.readers += 1
        try:
            if watched.latest is None:
                watched.show(self._take(container))
            seen = None
            while not container.removed.done():
                if watched.latest is not None and watched.latest is not seen:
                    seen = watched.latest
                    yield seen
                else:
                    await self._next(watched)
        finally:
            watched.readers -= 1
            if not watched.readers:
                del self._watched[container.id]
            if not self._watched and self._rounds is not None:
                self._rounds.cancel()
                self._rounds = None

    async def _next(self, watched: Watched) -> None:
        """Raises what a round has failed with."""
        if self._rounds is None or self._rounds.done():
            self._rounds = asyncio.get_running_loop().create_task(self._sample_all())
        rounds = self._rounds
        events: list[asyncio.Future[Any]] = [watched.fresh, watched.container.removed, rounds]
        await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        if rounds.done():
            rounds.result()

    async def _sample_all(self) -> None:
        """Rounds at even distances. Others have their turn between two containers."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + INTERVAL, loop.time())
            await asyncio.sleep(due - loop.time())
            for each in list(self._watched.values()):
                each.show(self._take(each.container))
                await asyncio.sleep(0)
