"""Mounts that a job needs, in a mount namespace that goes with it."""

from collections.abc import Iterable

import msgspec

from cove.kernel import mounts, namespaces, staged_mounts
from cove.kernel.staged_mounts import StagedMount


class Staged(msgspec.Struct, frozen=True):
    """A ``kernel.staged_mounts.StagedMount``, field by field."""

    kind: str
    place: str
    device: str = ""
    path: str = ""
    type: str = ""
    flags: int = 0
    data: str = ""
    layers: list[str] = msgspec.field(default_factory=list)

    @classmethod
    def of(cls, mount: StagedMount) -> "Staged":
        return cls(*mount[:-1], list(mount.layers))

    def made(self) -> StagedMount:
        return StagedMount(*(getattr(self, name) for name in self.__struct_fields__))


def written(staged: Iterable[StagedMount]) -> list[Staged]:
    """Mounts as a job's message has them."""
    return [Staged.of(mount) for mount in staged]


def stage(staged: Iterable[Staged]) -> None:
    """Leave the host's mount namespace and make them. Raises OSError in Docker's words."""
    namespaces.unshare(["mount"])
    mounts.set_propagation("/", mounts.PRIVATE)
    staged_mounts.attach_all(mount.made() for mount in staged)
