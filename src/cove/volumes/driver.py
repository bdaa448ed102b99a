"""What a volume driver is to the engine."""

from typing import Any, NamedTuple, Protocol

from cove.kernel.staged_mounts import StagedMount
from cove.volumes.record import Volume


class Source(NamedTuple):
    """Where a volume's files are found.

    ``path``: a directory; whoever wants to see them there makes the ``staged`` mounts first, in a mount namespace of
    its own.
    """

    path: str
    staged: tuple[StagedMount, ...] = ()


class Details(NamedTuple):
    """What an inspection shows. ``mountpoint``: where the files are while somebody has them; "" is not known."""

    mountpoint: str
    status: dict[str, Any] | None = None


class Driver(Protocol):
    """Every method may take its time; each may be repeated after a ``kill -9``.

    ``name``: as users type it. ``scope``: "local", or "global" for volumes that other machines see as well.
    """

    @property
    def name(self) -> str: ...
    @property
    def scope(self) -> str: ...

    async def details(self, volume: Volume) -> Details: ...

    async def create(self, volume: Volume) -> None:
        """Make it. Raises InvalidArgument for its options, Internal; nothing is left then."""

    async def remove(self, volume: Volume) -> None:
        """Remove it with its data. Nothing uses it."""

    async def mount(self, volume: Volume, user: str) -> Source:
        """Make it ready for ``user``, the id of a container or a job. Raises Internal in Docker's words."""

    async def unmount(self, volume: Volume, user: str) -> None:
        """``user`` needs it no longer. Raises nothing, also for one that never did."""

    def adopt(self, volume: Volume, user: str) -> None:
        """An earlier daemon made it ready for ``user``."""
