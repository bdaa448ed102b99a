"""Where maintainer scripts run: in a container, which is the engine's to make."""

from pathlib import Path
from typing import Protocol


class Workshop(Protocol):
    """Runs a program over a root file system, without a network."""

    async def run(self, root: Path, argv: list[str], environment: list[str], log: str, result: Path) -> None:
        """Take ``root``, an uncompressed tar, run ``argv`` in it, and write to ``result`` what it is then, as a tar.

        Raises Unavailable when the program fails, with the end of the file at the path ``log`` of the root.
        """
