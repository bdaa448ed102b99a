"""The life of a server: which requests are under way, and how they end when it does."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from cove.errors import CoveError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Lifespan:
    """Streams end at once when the server stops; what changes something is carried to its end."""

    def __init__(self) -> None:
        self.stopping = False
        self._streams: set[asyncio.Task[Any]] = set()
        self._work: set[asyncio.Task[Any]] = set()

    @contextlib.contextmanager
    def stream(self) -> Iterator[None]:
        """Around a part of a handler that may take for ever: it ends there, without an error, when the server stops."""
        if self.stopping:
            raise ConnectionAbortedError("the server stops")
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self.stopping:
                raise
            task.uncancel()
        finally:
            self._streams.discard(task)

    async def carry_out(self, work: Coroutine[Any, Any, T], abandoned: Callable[[T], None] | None = None) -> T:
        """Await work that goes on when the client goes away. ``abandoned`` is given its result then."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(lambda done: _tell_nobody(done, abandoned))
            raise

    def end_streams(self) -> None:
        """From now on there are none."""
        self.stopping = True
        for task in list(self._streams):
            task.cancel()

    async def wait(self, seconds: float | None) -> None:
        """Wait for the work under way, at most so long; None is for ever."""
        if self._work:
            await asyncio.wait(self._work, timeout=seconds)


def _tell_nobody(task: "asyncio.Task[T]", abandoned: Callable[[T], None] | None) -> None:
    if task.cancelled():
        return
    error = task.exception()
    if error is None:
        if abandoned is not None:
            abandoned(task.result())
    elif isinstance(error, CoveError):
        log.debug("failed for a client that went away: %s", error.message)
    else:
        log.error("failed for a client that went away", exc_info=error)
