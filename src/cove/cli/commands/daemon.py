"""``cove daemon``: this process becomes the engine."""

from __future__ import annotations

import os
import sys

from cove.cli.command import Command, at_least

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def become_daemon(arguments: list[str]) -> int:
    """Replace this process by the engine's, whose options these are. ``-P``: nothing is imported from the directory."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "cove.daemon.main", *arguments])


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    return become_daemon(arguments)


COMMAND = Command(_run, "[OPTIONS]", at_least(0), interspersed=False)
