"""What happened, told to everyone who listens, and kept for those who ask later."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping

from cove.engine.events.eventlog import EventLog, Numbered
from cove.wire.events import Actor, Event

log = logging.getLogger(__name__)

QUEUED = 1024
"""Events that wait in memory for one listener, as many as Docker's; a slower one catches up from the log."""

Matches = Callable[[Event], bool]


class Events:
    """One stream of events. ``publish`` never waits, whoever listens.

    ``watchers``: those of the engine's own, each called with every event as it is published.
    """

    def __init__(self, kept: EventLog) -> None:
        self.watchers: list[Callable[[Event], None]] = []
        self._log = kept
        self._listeners: set[Listener] = set()

    @property
    def listeners(self) -> int:
        """How many clients listen."""
        return len(self._listeners)

    def publish(self, kind: str, action: str, actor: str, attributes: Mapping[str, str] | None = None) -> None:
        """``kind``: container, image, network, volume or daemon; ``actor``: its id or name."""
        now = time.time_ns()
        event = Event(
            type=kind,
            action=action,
            actor=Actor(id=actor, attributes=dict(attributes or {})),
            time=now // 1_000_000_000,
            time_nano=now,
            scope="local",
        )
        if kind in ("container", "image"):
            event.status, event.id = action, actor
        if kind == "container":
            event.origin = event.actor.attributes.get("image", "")
        numbered = self._log.add(event)
        for listener in self._listeners:
            listener.offer(numbered)
        for watch in self.watchers:
            watch(event)

    def listen(self, since: int | None, until: int | None, matches: Matches) -> "Listener":
        """Events from ``since`` to ``until`` (nanoseconds since the epoch; None: from now, for ever) that match.

        From this call on nothing is missed and nothing comes twice. Close it at the end.
        """
        listener = Listener(self._log, since, until, matches, self._listeners.discard)
        self._listeners.add(listener)
        return listener

    def close(self) -> None:
        """End every stream."""
        for listener in self._listeners:
            listener.end()


class Listener:
    """One client's events, an asynchronous iterator.

    What was before it came, and what did not fit into its queue, is read from the log, page by page, up to the number
    of the newest event at that moment; what is newer waits in the queue.
    """

    def __init__(
        self,
        kept: EventLog,
        since: int | None,
        until: int | None,
        matches: Matches,
        leave: Callable[["Listener"], None],
    ) -> None:
        self._log = kept
        self._since, self._until = since, until
        self._matches = matches
        self._leave = leave
        self._queue: deque[Numbered] = deque()
        self._fresh = asyncio.Event()
        self._ended = False
        self._seen = 0 if since is not None else kept.last
        self._replayed_to = kept.last
        self._lagging = False
        self._timer = self._end_at(until)
        self._items = self._stream()

    def offer(self, numbered: Numbered) -> None:
        if self._lagging:
            return
        if len(self._queue) >= QUEUED:
            self._queue.clear()
            self._lagging = True
        else:
            self._queue.append(numbered)
        self._fresh.set()

    def end(self) -> None:
        """The stream ends when what waits has been read."""
        self._ended = True
        self._fresh.set()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await anext(self._items)

    async def aclose(self) -> None:
        self._leave(self)
        if self._timer is not None:
            self._timer.cancel()
        close = getattr(self._items, "aclose", None)
        if close is not None:
            with contextlib.suppress(RuntimeError):  # it is being read: its reader ends it
                await close()

    async def _stream(self) -> AsyncIterator[Event]:
        async for event in self._replay(self._since or 0):
            yield event
        while True:
            while self._queue:
                number, event = self._queue.popleft()
                if self._until is not None and event.time_nano > self._until:
                    return
                self._seen = number
                if self._matches(event):
                    yield event
            if self._lagging:
                self._lagging = False
                if await self._log.oldest() > self._seen + 1:
                    log.warning("a client of /events is too slow, and is cut off: what it has not seen is forgotten")
                    return
                self._replayed_to = self._log.last
                async for event in self._replay(0):
                    yield event
            elif self._ended:
                return
            else:
                self._fresh.clear()
                await self._fresh.wait()

    async def _replay(self, since: int) -> AsyncIterator[Event]:
        """What the log has between what was seen last and the number from which on the queue has all."""
        while self._seen < self._replayed_to:
            page = await self._log.page(self._seen, self._replayed_to, since, self._until)
            for number, event in page:
                self._seen = number
                if self._matches(event):
                    yield event
            if not page:
                self._seen = self._replayed_to

    def _end_at(self, until: int | None) -> asyncio.TimerHandle | None:
        if until is None:
            return None
        delay = max(0.0, (until - time.time_ns()) / 1e9)
        return asyncio.get_running_loop().call_later(delay, self.end)
