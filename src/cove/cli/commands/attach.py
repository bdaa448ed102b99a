"""``cove attach``"""

from __future__ import annotations

from cove.cli.attachment import Attachment, Detached, raw_mode, wait_with_signals
from cove.cli.command import Command, exactly
from cove.cli.commands.run import ACCEPTED_WITHIN
from cove.cli.failure import Failure, describe
from cove.cli.options import DETACH_KEYS
from cove.cli.signals import Signals
from cove.cli.streaming import check_terminal, detach_keys
from cove.cli.terminal import STDOUT, is_terminal, size
from cove.errors import CoveError
from cove.flags import BOOL, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.client.api import Pending
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    keys = detach_keys(session, values)
    found = _attachable(session, arguments[0])
    waiting = session.client.begin("POST", f"/containers/{found['Id']}/wait")
    waiting.accepted(ACCEPTED_WITHIN)
    tty = bool(found["Config"]["Tty"])
    check_terminal(not values.on("no-stdin"), tty)
    stdin = not values.on("no-stdin") and bool(found["Config"]["OpenStdin"])
    path = f"/containers/{found['Id']}"
    query = {"stream": 1, "stdin": stdin or None, "stdout": 1, "stderr": 1, "detachKeys": keys.text or None}
    kill = f"{path}/kill" if values.on("sig-proxy") and not tty else None
    with Signals(session.client, kill, f"{path}/resize" if tty else None) as signals:
        sock, leftover = session.client.hijack(f"{path}/attach", query)
        attachment = Attachment(sock, leftover, signals, tty=tty, stdin=stdin, keys=keys.keys)
        return _follow(attachment, signals, waiting)


def _attachable(session: Session, name: str) -> dict[str, Any]:
    found: dict[str, Any] = session.client.json("GET", f"/containers/{name}/json")
    state = found["State"]
    if not state["Running"]:
        raise Failure("You cannot attach to a stopped container, start it first")
    if state["Paused"]:
        raise Failure("You cannot attach to a paused container, unpause it first")
    if state["Restarting"]:
        raise Failure("You cannot attach to a restarting container, wait until it is running")
    return found


def _follow(attachment: Attachment, signals: Signals, waiting: Pending) -> int:
    try:
        with raw_mode(attachment.tty, attachment.stdin):
            _nudge(signals)
            attachment.pump()
    except Detached:
        raise Failure("read escape sequence") from None
    wait_with_signals(waiting, signals)
    try:
        result = waiting.json()
    except CoveError as error:
        raise Failure(describe(error)) from error
    if result.get("Error"):
        raise Failure(str(result["Error"].get("Message", "")))
    return int(result["StatusCode"])


def _nudge(signals: Signals) -> None:
    """Two changes of size make a shell draw its prompt again for someone who attaches a second time."""
    if signals.resize and is_terminal(STDOUT):
        rows, columns = size(STDOUT)
        signals.resize_to(rows + 1, columns + 1)
        signals.resize_now()


COMMAND = Command(
    _run,
    "[OPTIONS] CONTAINER",
    exactly(1),
    (
        DETACH_KEYS,
        Flag("no-stdin", BOOL, "Do not attach STDIN"),
        Flag("sig-proxy", BOOL, "Proxy all received signals to the process", default=True),
    ),
)
