"""Notices at once when somebody flushes or removes our table, and has the firewall put it back."""

import asyncio
import logging

from cove.kernel.ruleset_events import RulesetEvents
from cove.network.firewall import Firewall
from cove.network.ruleset import USER_CHAIN

log = logging.getLogger(__name__)


class Guard:
    """Watches the table of a firewall, in the daemon's network namespace."""

    def __init__(self, firewall: Firewall) -> None:
        self._firewall = firewall
        self._events: RulesetEvents | None = None
        self._again = False
        self._task: asyncio.Task[None] | None = None

    def watch(self) -> None:
        if self._firewall.in_use:
            self._events = RulesetEvents(self._firewall.table, (USER_CHAIN,))
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
            log.warning("firewall: somebody removed a part of table inet %s; putting it back", self._firewall.table)
            try:
                await self._firewall.repair()
            except OSError as error:
                log.error("firewall: cannot put the table back: %s", error)
