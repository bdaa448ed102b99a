"""``--progress plain``: every line with the number of its step, one step after the other as they have something."""

from __future__ import annotations

import time

from cove.cli.build_display.model import Model, Shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from cove.cli.build_display.model import Status


class Plain:
    """Writes as it comes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._model = Model()
        self._last: Shown | None = None

    def update(self, status: Status) -> None:
        """Show one status."""
        now = time.monotonic()
        for shown in self._model.update(status, now):
            self._head(shown)
            self._lines(shown, now)
            if shown.ended is not None:
                self._end(shown, now)
        self._out.flush()

    def close(self, *, failed: bool) -> None:
        """Nothing is left to be drawn."""

    def _head(self, shown: Shown) -> None:
        if self._last is not shown:
            if self._last is not None:
                self._out.write("\n")
            self._out.write(f"#{shown.number} {shown.name}\n")
            self._last = shown

    def _lines(self, shown: Shown, now: float) -> None:
        if shown.ended is not None and shown.tail:
            shown.take("\n")
        for line in shown.lines[shown.printed :]:
            self._out.write(f"#{shown.number} {shown.seconds(now):.3f} {line}\n")
        shown.printed = len(shown.lines)

    def _end(self, shown: Shown, now: float) -> None:
        if shown.error:
            self._out.write(f"#{shown.number} ERROR: {shown.error}\n")
        elif shown.cached:
            self._out.write(f"#{shown.number} CACHED\n")
        else:
            self._out.write(f"#{shown.number} DONE {shown.seconds(now):.1f}s\n")
