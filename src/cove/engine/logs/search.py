"""Searching a log: the entries that a pattern is found in, and some around them."""

from collections import deque

from cove.engine.patterns import Pattern
from cove.wire.streams import LogEntry


class Search:
    """Takes entries in order and gives back what is wanted of them.

    ``before`` and ``after``: how many entries around a find. ``last``: until ``caught_up`` only so many finds are kept,
    the newest (None: all, as they come).
    """

    def __init__(self, pattern: Pattern, *, before: int, after: int, last: int | None) -> None:
        self._pattern = pattern
        self._after = after
        self._waiting: deque[LogEntry] = deque(maxlen=before)
        self._follows = 0
        self._kept: deque[list[LogEntry]] | None = deque(maxlen=last) if last is not None else None

    def feed(self, batch: list[LogEntry]) -> list[LogEntry]:
        found: list[LogEntry] = []
        for entry in batch:
            if self._pattern.search(entry.line.rstrip(b"\r\n")):
                self._keep(found, [*self._waiting, entry], begins=True)
                self._waiting.clear()
                self._follows = self._after
            elif self._follows:
                self._follows -= 1
                self._keep(found, [entry], begins=False)
            else:
                self._waiting.append(entry)
        return found

    def caught_up(self) -> list[LogEntry]:
        """What was kept back; from here on everything comes as it is found."""
        kept, self._kept = self._kept or (), None
        return [entry for entries in kept for entry in entries]

    def _keep(self, found: list[LogEntry], entries: list[LogEntry], *, begins: bool) -> None:
        if self._kept is None:
            found += entries
        elif begins:
            self._kept.append(entries)
        elif self._kept:
            self._kept[-1] += entries
