"""A volume driver that is a plug-in (``VolumeDriver.*``)."""

import contextlib
import logging
import os
from typing import Any

from cove.errors import CoveError, Internal, NotFound
from cove.plugin import Plugin
from cove.volumes.driver import Details, Source
from cove.volumes.record import Volume

log = logging.getLogger(__name__)

IMPLEMENTS = "VolumeDriver"


class PluginDriver:
    """``scope``: as it says of itself.

    ``_users``: who has which volume mounted, and where, as plug-ins count: for a user there is one mount and one end,
    at however many places it has the volume. Empty: an earlier daemon knew where.
    """

    def __init__(self, plugin: Plugin, scope: str) -> None:
        self._plugin = plugin
        self.name = plugin.name
        self.scope = scope
        self._users: dict[tuple[str, str], str] = {}

    async def details(self, volume: Volume) -> Details:
        found = await self._get(volume.name)
        status = found.get("Status")
        return Details(str(found.get("Mountpoint") or ""), status if isinstance(status, dict) else None)

    async def has(self, name: str) -> bool:
        """Whether it knows of a volume, made by us or by others."""
        try:
            return bool(await self._get(name))
        except CoveError:
            return False

    async def _get(self, name: str) -> dict[str, Any]:
        found = (await self._call("Get", {"Name": name})).get("Volume")
        return found if isinstance(found, dict) else {}

    async def known(self) -> dict[str, str]:
        """All of its volumes: their places by their names."""
        found = (await self._call("List", {})).get("Volumes")
        entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
        return {str(entry.get("Name")): str(entry.get("Mountpoint") or "") for entry in entries}

    async def create(self, volume: Volume) -> None:
        """One that is there already is taken as it is, as with Docker."""
        if await self.has(volume.name):
            return
        try:
            await self._call("Create", {"Name": volume.name, "Opts": volume.options})
        except Internal as error:
            raise Internal(f"create {volume.name}: {error.message}") from error

    async def remove(self, volume: Volume) -> None:
        try:
            await self._call("Remove", {"Name": volume.name})
        except Internal as error:
            raise Internal(f"remove {volume.name}: {error.message}") from error

    async def mount(self, volume: Volume, user: str) -> Source:
        if path := self._users.get((volume.name, user)):
            return Source(path)
        self.adopt(volume, user)
        try:
            answer = await self._call("Mount", {"Name": volume.name, "ID": user})
        except BaseException as error:
            self._users.pop((volume.name, user), None)
            if isinstance(error, Internal):
                raise Internal(f"error while mounting volume '': {error.message}") from error
            raise
        path = answer.get("Mountpoint")
        if not isinstance(path, str) or not os.path.isabs(path):
            await self.unmount(volume, user)
            raise Internal(f"error while mounting volume '': {self.name} gave no absolute path: {path!r}")
        self._users[volume.name, user] = path
        return Source(path)

    async def unmount(self, volume: Volume, user: str) -> None:
        if (volume.name, user) not in self._users:
            return
        del self._users[volume.name, user]
        try:
            await self._call("Unmount", {"Name": volume.name, "ID": user})
        except CoveError as error:
            log.warning("volume %s: %s: %s", volume.name, self.name, error.message)

    def adopt(self, volume: Volume, user: str) -> None:
        self._users.setdefault((volume.name, user), "")

    async def _call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self._plugin.call(f"{IMPLEMENTS}.{method}", body)


async def activate(found: Plugin) -> PluginDriver:
    """The driver that a plug-in is. Raises NotFound in Docker's words when it is something else, Internal."""
    offered = (await found.call("Plugin.Activate")).get("Implements")
    if not isinstance(offered, list) or IMPLEMENTS not in offered:
        raise NotFound(f'plugin "{found.name}" not found')
    scope = "local"
    with contextlib.suppress(CoveError):  # what came later to the protocol
        given = (await found.call(f"{IMPLEMENTS}.Capabilities")).get("Capabilities")
        if isinstance(given, dict) and str(given.get("Scope")).lower() == "global":
            scope = "global"
    return PluginDriver(found, scope)
