"""The drivers of volumes by name: ``local``, and plug-ins once somebody has asked for them."""

import asyncio
import logging

from cove.errors import CoveError, NotFound
from cove.plugin import Places
from cove.volumes import plugin_driver
from cove.volumes.driver import Driver
from cove.volumes.local import Local
from cove.volumes.plugin_driver import PluginDriver
from cove.volumes.record import LOCAL

log = logging.getLogger(__name__)


class Drivers:
    """A plug-in is activated once; who asks meanwhile shares the answer."""

    def __init__(self, local: Local, places: Places) -> None:
        self._local = local
        self._places = places
        self._plugins: dict[str, PluginDriver] = {}
        self._activating: dict[str, asyncio.Task[PluginDriver]] = {}

    async def get(self, name: str) -> Driver:
        """Raises NotFound, Internal in Docker's words."""
        return self._local if name == LOCAL else await self.plugin(name)

    def names(self) -> list[str]:
        """Of all that have been used."""
        return sorted([LOCAL, *self._plugins])

    async def plugin(self, name: str) -> PluginDriver:
        known = self._plugins.get(name)
        if known is not None:
            return known
        try:
            task = self._activating.get(name)
            if task is None:
                task = self._activating[name] = asyncio.create_task(plugin_driver.activate(self._places.find(name)))
                task.add_done_callback(lambda _: self._activating.pop(name, None))
            driver = await asyncio.shield(task)
            return self._plugins.setdefault(name, driver)
        except CoveError as error:
            raise NotFound(f"error looking up volume plugin {name}: {error.message}") from error

    async def plugins(self) -> list[PluginDriver]:
        """All that answer, whether anybody has asked for them or not."""
        found = []
        for name in await asyncio.to_thread(self._places.names):
            try:
                found.append(await self.plugin(name))
            except CoveError as error:
                log.debug("plug-in %s: %s", name, error.message)
        return found
