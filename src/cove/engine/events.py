"""What happened, told to everyone who listens, and kept for a while for those who ask later."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping

from cove.wire.events import Actor, Event

KEPT = 1000
"""Events that can be replayed with ``since``; Docker keeps 256."""


class Events:
    """One stream of events. ``publish`` never blocks; every listener has a queue of its own and misses nothing."""

    def __init__(self) -> None:
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._listeners: set[asyncio.Queue[Event | None]] = set()

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
        self._kept.append(event)
        for listener in self._listeners:
            listener.put_nowait(event)

    async def stream(
        self, since: int | None, until: int | None, matches: Callable[[Event], bool]
    ) -> AsyncIterator[Event]:
        """Events from ``since`` to ``until`` (nanoseconds since the epoch; None: from now, for ever) that match."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners.add(queue)
        timer = self._end_at(until, queue)
        try:
            if since is not None:
                for event in list(self._kept):
                    if since <= event.time_nano and (until is None or event.time_nano <= until) and matches(event):
                        yield event
            while (next_event := await queue.get()) is not None:
                if until is not None and next_event.time_nano > until:
                    return
                if matches(next_event):
                    yield next_event
        finally:
            self._listeners.discard(queue)
            if timer is not None:
                timer.cancel()

    def close(self) -> None:
        """End every stream."""
        for listener in self._listeners:
            listener.put_nowait(None)

    def _end_at(self, until: int | None, queue: "asyncio.Queue[Event | None]") -> asyncio.TimerHandle | None:
        if until is None:
            return None
        delay = max(0.0, (until - time.time_ns()) / 1e9)
        return asyncio.get_running_loop().call_later(delay, queue.put_nowait, None)
