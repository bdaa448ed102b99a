"""Jobs that have a plug-in's volume mounted, noted on disk: the next daemon ends what a killed one could not.

A note is an empty file ``volumes/<name>/.visit-<user>``.
"""

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

_PREFIX = ".visit-"


def user() -> str:
    """A new id for a job."""
    return f"job-{secrets.token_hex(8)}"


class Visits:
    """``root``: the directory of all volumes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextlib.contextmanager
    def noted(self, volume: str) -> Iterator[str]:
        """While a job has the volume: the id that it has for its driver."""
        name = user()
        note = self._root / volume / f"{_PREFIX}{name}"
        note.parent.mkdir(mode=0o701, exist_ok=True)
        note.touch()
        try:
            yield name
        finally:
            note.unlink(missing_ok=True)

    def left(self, volume: str) -> Sequence[str]:
        """The ids of jobs of an earlier daemon; they are forgotten."""
        notes = list((self._root / volume).glob(f"{_PREFIX}*"))
        for note in notes:
            note.unlink()
        return [note.name.removeprefix(_PREFIX) for note in notes]
