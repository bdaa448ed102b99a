"""The progress stream of pull, load, import and bootstrap: JSON lines in, text out.

On a terminal each layer has a line that is rewritten, with a bar; elsewhere every message is a line of its own and
bars are left out.
"""

from __future__ import annotations

import json
import time

from cove.cli.failure import Failure
from cove.cli.humanize import size
from cove.cli.terminal import is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TextIO

    from cove.cli.session import Session

    Message = dict[str, Any]

BAR = 50
NARROW = 110


def display_made(lines: Iterable[bytes], session: Session, *, quiet: bool) -> None:
    """Show how an image is made; ``quiet``: on stderr, with the image's id alone on stdout. Raises Failure."""
    notes: list[Any] = []
    display(lines, session.stderr if quiet else session.stdout, notes.append)
    if quiet and notes:
        session.print(str(notes[-1].get("ID", "")))


def display(lines: Iterable[bytes], out: TextIO, aux: Callable[[Any], object] | None = None) -> None:
    """Show a stream to its end. Raises Failure for an error in it."""
    screen = Screen(out)
    for line in lines:
        if not line.strip():
            continue
        message: Message = json.loads(line)
        if message.get("aux") is not None:
            if aux:
                aux(message["aux"])
            continue
        detail = message.get("errorDetail") or {}
        if error := detail.get("message") or message.get("error"):
            raise Failure(str(error), int(detail.get("code") or 1) if 0 < int(detail.get("code") or 1) < 126 else 1)
        screen.show(message)
    out.flush()


class Screen:
    """Where the messages go. Lines with an identity keep their place on a terminal."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        try:
            self.terminal = is_terminal(out.fileno())
        except (OSError, ValueError):
            self.terminal = False
        self._rows: dict[str, int] = {}

    def show(self, message: Message) -> None:
        identity = message.get("id", "")
        has_progress = bool(message.get("progressDetail")) or bool(message.get("progress"))
        if not self.terminal:
            if not (has_progress and _is_bar(message)):
                self._plain(message)
            return
        if not identity or not (has_progress or "progressDetail" in message):
            self._rows.clear() if not identity else None
            self._plain(message)
            return
        self._rewrite(identity, message)

    def _plain(self, message: Message) -> None:
        identity = message.get("id", "")
        if "stream" in message:
            self.out.write(str(message["stream"]))
            return
        prefix = f"{identity}: " if identity else ""
        self.out.write(f"{prefix}{message.get('status', '')}\n")

    def _rewrite(self, identity: str, message: Message) -> None:
        """Go up to the line of ``identity``, write it again, and come back down."""
        if identity not in self._rows:
            self._rows[identity] = len(self._rows)
            self.out.write("\n")
        up = len(self._rows) - self._rows[identity]
        text = f"{identity}: {message.get('status', '')} {progress_text(message)}".rstrip()
        self.out.write(f"\x1b[{up}A\x1b[2K\r{text}\r\x1b[{up}B")
        self.out.flush()


def _is_bar(message: Message) -> bool:
    detail = message.get("progressDetail") or {}
    return bool(detail.get("current") or detail.get("total") or message.get("progress"))


def progress_text(message: Message, width: int = 200) -> str:
    """``[=====>      ]  1.2MB/3.4MB 5s``"""
    detail = message.get("progressDetail") or {}
    current, total = detail.get("current", 0), detail.get("total", 0)
    if not current and not total:
        return str(message.get("progress", ""))
    if total <= 0:
        return f"{size(current):>8}" if not detail.get("units") else f"{current} {detail['units']}"
    percent = min(current * 100 // total, 100)
    filled = percent // 2
    bar = "" if detail.get("hidecounts") else f"{size(current):>8}/{size(total)}"
    line = f"[{'=' * filled}>{' ' * (BAR - filled)}] {bar}" if width > NARROW else bar
    return line + _remaining(detail, current, total)


def _remaining(detail: Message, current: int, total: int) -> str:
    start = detail.get("start", 0)
    if not start or current <= 0 or current >= total:
        return ""
    passed = time.time() - start
    return f" {int(passed * (total - current) / current)}s"
