"""Which display ``--progress`` and the terminal ask for."""

from __future__ import annotations

import json
import shutil

from cove.cli.failure import Failure
from cove.cli.terminal import is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol, TextIO

    from cove.cli.build_display.model import Status
    from cove.cli.session import Session
    from cove.flags import Values

    class Display(Protocol):
        def update(self, status: Status) -> None: ...

        def close(self, *, failed: bool) -> None: ...


def display_for(session: Session, values: Values) -> Display:
    """Raises Failure for a kind that there is none of."""
    kind = "quiet" if values.on("quiet") else values.text("progress")
    out = session.stderr
    if kind == "auto":
        kind = "tty" if is_terminal(out.fileno()) else "plain"
    if kind == "tty":
        from cove.cli.build_display.tty import Terminal

        return Terminal(out, _size)
    if kind == "plain":
        from cove.cli.build_display.plain import Plain

        return Plain(out)
    if kind in ("quiet", "none"):
        return Silent()
    if kind == "rawjson":
        return Raw(out)
    raise Failure(f'invalid progress mode "{kind}": it must be auto, plain, tty, quiet or rawjson')


def _size() -> tuple[int, int]:
    size = shutil.get_terminal_size()
    return size.columns, size.lines


class Silent:
    """Shows nothing."""

    def update(self, status: Status) -> None:
        pass

    def close(self, *, failed: bool) -> None:
        pass


class Raw:
    """Each status as one line of JSON."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def update(self, status: Status) -> None:
        self._out.write(json.dumps(status, separators=(",", ":")) + "\n")
        self._out.flush()

    def close(self, *, failed: bool) -> None:
        pass
