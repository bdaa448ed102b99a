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


class Driver(Protocol):
    """Every method but ``path`` may take its time; each may be repeated after a ``kill -9``.

    ``name``: as users type it. ``scope``: "local", or "global" for volumes that other machines see as well.
    """

    @property
    def name(self) -> str: ...
    @property
    def scope(self) -> str: ...

    def path(self, volume: Volume) -> str:
        """Where an inspection says that it is, or "" when only a mount tells."""

    async def create(self, volume: Volume) -> None:
        """Make it. Raises InvalidArgument for its options, Internal; nothing is left then."""

    async def remove(self, volume: Volume) -> None:
        """Remove it with its data. Nothing uses it."""

    async def mount(self, volume: Volume, user: str) -> Source:
        """Make it ready for ``user``, the id of a container or a job. Raises Internal in Docker's words."""

    async def unmount(self, volume: Volume, user: str) -> None:
        """``user`` needs it no longer. Raises nothing for one that never did."""

    async def status(self, volume: Volume) -> dict[str, Any] | None:
        """What the driver has to say of it."""
