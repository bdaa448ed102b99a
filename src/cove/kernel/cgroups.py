"""Control groups, versions 1 and 2 and both at once: where they are mounted, and the directories of one container."""

from typing import NamedTuple


class Hierarchy(NamedTuple):
    """A mounted hierarchy. ``controllers``: of version 1; empty for a named one. ``options``: what mounts it again."""

    mount_point: str
    version: int
    controllers: tuple[str, ...]
    name: str


class Layout(NamedTuple):
    """The hierarchies of this machine, read once."""

    hierarchies: tuple[Hierarchy, ...]


def layout() -> Layout:
    """The layout of this machine. The zygote calls it once, so that no start reads it again."""
    raise NotImplementedError


class Cgroup:
    """The directories of one container, one in each hierarchy."""

    def __init__(self, layout: Layout, path: str) -> None:
        """``path``: ``/<parent>/<id>`` from the root of the hierarchies."""
        self.layout = layout
        self.path = path

    def join(self) -> None:
        """Move the calling process in."""
        raise NotImplementedError

    def pids(self) -> list[int]:
        """The processes in it and below it, as this process sees them."""
        raise NotImplementedError

    def oom_kills(self) -> int:
        """How many of its processes were killed for want of memory."""
        raise NotImplementedError

    def kill(self) -> None:
        """Kill every process in it and below it, none of which can fork its way out."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Stop every process; returns when all have stopped."""
        raise NotImplementedError

    def thaw(self) -> None:
        """Let them go on."""
        raise NotImplementedError

    def remove(self) -> None:
        """Remove the directories, and those below them; what is gone already is no error."""
        raise NotImplementedError
