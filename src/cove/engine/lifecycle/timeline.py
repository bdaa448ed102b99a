"""Where the milliseconds of a start go, for the debug log and for ``bench/profile``."""

import time


class Timeline:
    """Named steps of one piece of work, in order."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._steps: list[tuple[str, float]] = []

    def mark(self, step: str) -> None:
        """``step`` ends here; the next one begins."""
        now = time.perf_counter()
        self._steps.append((step, (now - self._last) * 1000))
        self._last = now

    def __str__(self) -> str:
        return ", ".join(f"{step} {milliseconds:.2f} ms" for step, milliseconds in self._steps)
