"""Routes of a container's streams: logs, attach (hijacked and WebSocket), resize, stats."""

from collections.abc import AsyncIterator
from typing import Protocol

from cove.wire.stats import Stats
from cove.wire.streams import AttachOptions, LogOptions, Logs, Stream


class Output(Protocol):
    async def logs(self, ref: str, options: LogOptions) -> Logs:
        """Raises InvalidArgument when the log driver keeps nothing that can be read."""

    async def attach(self, ref: str, options: AttachOptions) -> Stream:
        """Connect to a container that runs, or that is yet to be started. Raises Conflict in Docker's words."""

    async def tty(self, ref: str) -> bool:
        """Whether the container has a terminal."""

    async def resize(self, ref: str, *, rows: int, columns: int) -> None:
        """Raises Conflict when it does not run."""

    async def stats(self, ref: str, *, stream: bool, one_shot: bool) -> AsyncIterator[Stats]:
        """A sample a second; a single one unless ``stream``, at once (without a previous one) when ``one_shot``."""
