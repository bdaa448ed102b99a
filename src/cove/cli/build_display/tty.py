"""``--progress tty``: steps with their times, and the last lines of those that run, drawn over and over."""

from __future__ import annotations

import threading
import time

from cove.cli.build_display.model import Model, Shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from cove.cli.build_display.model import Status

TICK = 0.1
"""Seconds between two pictures."""
LINES = 6
"""Lines of output that are shown of a step that runs."""
_UP, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[%dA", "\x1b[2K", "\x1b[J"
_BLUE, _RED, _GREY, _PLAIN = "\x1b[34m", "\x1b[31m", "\x1b[2m", "\x1b[0m"


class Terminal:
    """``size``: columns and rows of the terminal."""

    def __init__(self, out: TextIO, size: Callable[[], tuple[int, int]]) -> None:
        self._out = out
        self._size = size
        self._model = Model()
        self._began = time.monotonic()
        self._drawn = 0
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="display", daemon=True)
        self._ticker.start()

    def update(self, status: Status) -> None:
        """Take in one status; the next picture shows it."""
        with self._lock:
            self._model.update(status, time.monotonic())

    def close(self, *, failed: bool) -> None:
        """Draw the last picture and, of what failed, all output."""
        self._done.set()
        self._ticker.join()
        self._draw(last=True)
        for shown in self._model.vertices.values():
            if shown.error:
                self._out.write(f"------\n > {shown.name}:\n")
                self._out.write("".join(f"{line}\n" for line in shown.lines[-100:]) + "------\n")
        self._out.flush()

    def _tick(self) -> None:
        while not self._done.wait(TICK):
            self._draw()

    def _draw(self, last: bool = False) -> None:
        with self._lock:
            columns, rows = self._size()
            lines = picture(
                self._model, time.monotonic() - self._began, time.monotonic(), columns, 10_000 if last else rows - 1
            )
        up = _UP % self._drawn if self._drawn else ""
        self._out.write(up + "\r" + "".join(f"{_CLEAR_LINE}{line}\n" for line in lines) + _CLEAR_BELOW)
        self._out.flush()
        self._drawn = len(lines)


def picture(model: Model, passed: float, now: float, columns: int, rows: int) -> list[str]:
    """The lines of one picture, as many as fit. Pure."""
    vertices = [shown for shown in model.vertices.values() if shown.began is not None]
    done = [shown for shown in vertices if shown.ended is not None]
    state = " FINISHED" if vertices and len(done) == len(vertices) else ""
    head = f"[+] Building {passed:.1f}s ({len(done)}/{len(vertices)}){state}"
    lines = [head[:columns]]
    for note in model.notes.values():
        lines.append(f" => {note}"[:columns])
    for shown in vertices:
        lines += _rows(shown, now, columns)
    return [lines[0], *lines[1:][-(rows - 1) :]] if len(lines) > rows else lines


def _rows(shown: Shown, now: float, columns: int) -> list[str]:
    mark = "ERROR " if shown.error else "CACHED " if shown.cached else ""
    took = f"{shown.seconds(now):.1f}s"
    left = f" => {mark}{shown.name}".replace("\n", " ")
    room = max(columns - len(took) - 1, 10)
    row = left[: room - 1].ljust(room) + took
    colour = _RED if shown.error else _BLUE if shown.ended is not None else ""
    rows = [f"{colour}{row}{_PLAIN}" if colour else row]
    if shown.ended is None:
        recent = [*shown.lines, shown.tail] if shown.tail else shown.lines
        rows += [f"{_GREY}{f' => => # {_printable(line)}'[:columns]}{_PLAIN}" for line in recent[-LINES:]]
    return rows


def _printable(line: str) -> str:
    """Without what would move the cursor."""
    return "".join(character if character.isprintable() else " " for character in line)
