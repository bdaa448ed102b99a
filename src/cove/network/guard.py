"""Notices at once when somebody flushes or removes one of our tables, and has its owner put it back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from cove.kernel.ruleset_events import RulesetEvents

log = logging.getLogger(__name__)


class Guard:
    """Watches a table, in the daemon's network namespace.

    ``repair``: puts it back, or raises OSError. ``spared``: chains and sets of which others may remove parts.
    """

    def __init__(self, table: str, repair: Callable[[], Awaitable[None]], spared: Collection[str] = ()) -> None:
        self._table = table
        self._restore = repair
        self._spared = spared
        self._events: RulesetEvents | None = None
        self._again = False
        self._task: asyncio.Task[None] | None = None

    def watch(self) -> None:
        self._events = RulesetEvents(self._table, self._spared)
        asyncio.get_running_loop().add_reader(self._events.fileno(), self._read)

    async def close(self) -> None:
        if self._events is not None:
            asyncio.get_running_loop().remove_reader(self._events.fileno())
            self._events.close()
            self._events = None
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def _read(self) -> None:
        assert self._events is not None
        if not self._events.damaged():
            return
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._repair())

    async def _repair(self) -> None:
        while self._again:
            self._again = False
            log.warning("firewall: somebody removed a part of table inet %s; putting it back", self._table)
            try:
                await self._restore()
            except OSError as error:
                log.error("firewall: cannot put the table back: %s", error)
