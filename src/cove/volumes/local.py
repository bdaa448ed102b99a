"""The driver ``local``: ``volumes/<name>/_data``, a directory or the place of a file system of its own.

A volume with the options ``type`` and ``device`` is never mounted on the host: see ``kernel.staged_mounts``.
"""

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from cove.errors import CoveError, Internal, InvalidArgument
from cove.kernel.staged_mounts import StagedMount
from cove.units import parse_size
from cove.volumes import addresses, mount_words
from cove.volumes.driver import Details, Source
from cove.volumes.record import LOCAL, Volume
from cove.volumes.spaces import Spaces, check

_NEEDS = {"type": ("device",), "device": ("type",), "o": ("device", "type")}
_OPTIONS = (*_NEEDS, "size")


class Local:
    """``root``: the directory of all volumes."""

    name = LOCAL
    scope = "local"

    def __init__(self, root: Path, spaces: Spaces) -> None:
        self._root = root
        self._spaces = spaces

    async def details(self, volume: Volume) -> Details:
        place = self.data(volume.name)
        space = self._spaces.look(place) if volume.options.get("size") else None
        if space is None:
            return Details(str(place))
        return Details(str(place), {"Backing": space.backing, "Size": space.limit, "Used": space.used})

    def data(self, name: str) -> Path:
        return self._root / name / "_data"

    async def create(self, volume: Volume) -> None:
        size = check_options(volume.name, volume.options)
        try:
            self.make_directory(volume.name)
            if size:
                await self._spaces.make(self.data(volume.name), size)
        except (OSError, CoveError) as error:
            shutil.rmtree(self._root / volume.name, ignore_errors=True)
            words = error.message if isinstance(error, CoveError) else error.strerror or str(error)
            kind = InvalidArgument if isinstance(error, InvalidArgument) else Internal
            raise kind(f"create {volume.name}: {words}") from error

    def make_directory(self, name: str) -> None:
        """Raises OSError."""
        self.data(name).parent.mkdir(mode=0o701, exist_ok=True)
        self.data(name).mkdir(mode=0o755, exist_ok=True)

    def repair(self, name: str) -> None:
        """Remove what a copy that was cut short has left, and make a directory that is gone anew. Raises OSError."""
        self.make_directory(name)
        shutil.rmtree(self._root / name / "_copy", ignore_errors=True)
        for rest in (self._root / name).glob("*.part"):
            rest.unlink()
        (self._root / name / "_copy.disk").unlink(missing_ok=True)

    async def remove(self, volume: Volume) -> None:
        self._spaces.forget(self.data(volume.name))
        rubbish = self._root / f".{secrets.token_hex(8)}"  # out of the way of the next volume of this name
        with contextlib.suppress(FileNotFoundError):
            (self._root / volume.name).rename(rubbish)
        await asyncio.to_thread(shutil.rmtree, rubbish, ignore_errors=True)

    async def mount(self, volume: Volume, user: str) -> Source:
        path = str(self.data(volume.name))
        if size := check_options(volume.name, volume.options):
            await self._spaces.keep(self.data(volume.name), size)
            return Source(path, await self._spaces.attach(self.data(volume.name), user))
        if not has_file_system(volume):
            return Source(path)
        kind, device = volume.options["type"], volume.options["device"]
        device, words = await addresses.resolved(kind, device, volume.options.get("o", ""), path)
        flags, data = mount_words.parse(words)
        return Source(path, (StagedMount("file system", path, device, type=kind, flags=flags, data=data),))

    async def unmount(self, volume: Volume, user: str) -> None:
        """The kernel does, when the last container is gone."""
        self._spaces.release(self.data(volume.name), user)

    def adopt(self, volume: Volume, user: str) -> None:
        """There is nothing to count."""


def has_file_system(volume: Volume) -> bool:
    """Whether a local volume is a file system of its own, mounted where it is used."""
    return volume.driver == LOCAL and bool(volume.options.get("device"))


def check_options(name: str, options: Mapping[str, str]) -> int:
    """The size, 0 without one. Raises InvalidArgument in Docker's words."""
    for option in options:
        if option not in _OPTIONS:
            raise InvalidArgument(f'create {name}: invalid option: "{option}"')
    for option, needed in _NEEDS.items():
        for other in needed:
            if options.get(option) and not options.get(other):
                raise InvalidArgument(f'create {name}: missing required option: "{other}"')
    if not options.get("size"):
        return 0
    if options.get("device"):
        raise InvalidArgument(f'create {name}: invalid option: "size": a device has a size of its own')
    try:
        size = parse_size(options["size"])
    except InvalidArgument as error:
        raise InvalidArgument(f'create {name}: invalid option: "size": {error.message}') from error
    check(size)
    return size
