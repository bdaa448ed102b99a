"""What is known of a build's vertices so far, as the stream tells it."""

from __future__ import annotations

import base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Status = dict[str, Any]

MOST_LINES = 10_000
"""Lines of output that are kept of a vertex, for the end of one that fails."""


class Shown:
    """One vertex. ``number``: in the order of appearance. ``tail``: a line that has not ended yet."""

    __slots__ = ("began", "cached", "ended", "error", "lines", "name", "number", "printed", "tail")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.began: float | None = None
        self.ended: float | None = None
        self.cached = False
        self.error = ""
        self.lines: list[str] = []
        self.tail = ""
        self.printed = 0

    def seconds(self, now: float) -> float:
        """How long it took, or takes so far."""
        return max((self.ended if self.ended is not None else now) - self.began, 0.0) if self.began is not None else 0.0

    def take(self, text: str) -> None:
        """Output."""
        *whole, self.tail = (self.tail + text).split("\n")
        self.lines += [line.rpartition("\r")[2] if not line.endswith("\r") else line[:-1] for line in whole]
        if len(self.lines) > MOST_LINES:
            dropped = len(self.lines) - MOST_LINES
            del self.lines[:dropped]
            self.printed = max(self.printed - dropped, 0)


class Model:
    """Feed it with ``update``; ``changed`` are the vertices that the last one was about."""

    def __init__(self) -> None:
        self.vertices: dict[str, Shown] = {}
        self.notes: dict[str, str] = {}
        self.explanations: list[Status] = []

    def update(self, status: Status, now: float) -> list[Shown]:
        """Take in one status; the vertices that it is about. ``now``: seconds of a clock that never goes back."""
        changed = []
        for told in status.get("vertexes") or ():
            shown = self._shown(told["digest"], told["name"])
            if told.get("started") and shown.began is None:
                shown.began = now
            if told.get("completed"):
                shown.ended, shown.cached, shown.error = now, bool(told.get("cached")), told.get("error", "")
            changed.append(shown)
        for log in status.get("logs") or ():
            shown = self._shown(log["vertex"], "")
            shown.take(base64.b64decode(log["data"]).decode("utf-8", "replace"))
            changed.append(shown)
        for note in status.get("statuses") or ():
            self.notes[note["id"]] = note["name"]
        self.explanations += status.get("explanations") or ()
        return changed

    def _shown(self, digest: str, name: str) -> Shown:
        if digest not in self.vertices:
            self.vertices[digest] = Shown(len(self.vertices) + 1, name)
        return self.vertices[digest]
