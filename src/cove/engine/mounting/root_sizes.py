"""``--storage-opt size=``: how much a container may write to its root."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from cove.engine.containers.container import Container
from cove.errors import InvalidArgument
from cove.kernel.staged_mounts import StagedMount
from cove.units import parse_size
from cove.volumes import Spaces, spaces
from cove.wire.host_config import HostConfig

DIRECTORIES = "upper,work"


class RootSizes:
    """Bounds the directory that the changes of a container are in, as volumes are bounded."""

    def __init__(self, spaces: Spaces) -> None:
        self._spaces = spaces

    async def make(self, container: Container) -> None:
        """Its directories are there, those of its changes not yet. Raises InvalidArgument, Internal."""
        size = of(container.record.host_config)
        if size:
            container.paths.bounded.mkdir(mode=0o755)
            await self._spaces.make(container.paths.bounded, size)

    async def attach(self, container: Container, user: str) -> Sequence[StagedMount]:
        """What ``user`` has to mount to see its changes."""
        size = of(container.record.host_config)
        if not size:
            return ()
        await self._spaces.keep(container.paths.bounded, size)
        staged = await self._spaces.attach(container.paths.bounded, user)
        return [mount._replace(path=DIRECTORIES) for mount in staged]

    def release(self, container: Container, user: str) -> None:
        self._spaces.release(container.paths.bounded, user)

    @contextlib.asynccontextmanager
    async def attached(self, container: Container, user: str) -> AsyncIterator[Sequence[StagedMount]]:
        """For a job."""
        try:
            yield await self.attach(container, user)
        finally:
            self.release(container, user)

    def used(self, container: Container) -> int | None:
        """Bytes, where they are not to be counted on the host; None elsewhere."""
        space = self._spaces.look(container.paths.bounded) if of(container.record.host_config) else None
        return space.used if space is not None else None

    def forget(self, container: Container) -> None:
        """Before it is deleted."""
        if of(container.record.host_config):
            self._spaces.forget(container.paths.bounded)


def of(host: HostConfig) -> int:
    """Bytes, 0 for no bound. Raises InvalidArgument."""
    options = host.storage_opt or {}
    for name in options:
        if name != "size":
            raise InvalidArgument(f"invalid storage option: {name}: there is size alone")
    if "size" not in options:
        return 0
    size = parse_size(options["size"])
    spaces.check(size)
    return size
