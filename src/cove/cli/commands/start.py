"""``cove start``"""

from __future__ import annotations

from cove.cli.attachment import Attachment, Detached, raw_mode, wait_with_signals
from cove.cli.command import Command, at_least
from cove.cli.commands.run import ACCEPTED_WITHIN, exit_status
from cove.cli.failure import Failure, describe
from cove.cli.options import DETACH_KEYS
from cove.cli.signals import Signals
from cove.cli.streaming import detach_keys
from cove.errors import CoveError, NotModified
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    if values.on("attach") or values.on("interactive"):
        if len(arguments) > 1:
            raise Failure("you cannot start and attach multiple containers at once")
        return _attached(session, values, arguments[0])
    return _several(session, arguments)


def _several(session: Session, names: list[str]) -> int:
    failed = []
    for name in names:
        try:
            _start(session, name)
        except CoveError as error:
            session.warn(describe(error))
            failed.append(name)
        else:
            session.print(name)
    if failed:
        raise Failure(f"Error: failed to start containers: {', '.join(failed)}")
    return 0


def _start(session: Session, name: str) -> None:
    try:
        session.client.json("POST", f"/containers/{name}/start")
    except NotModified:
        return


def _attached(session: Session, values: Values, name: str) -> int:
    keys = detach_keys(session, values)
    found = session.client.json("GET", f"/containers/{name}/json")
    path = f"/containers/{found['Id']}"
    tty = bool(found["Config"]["Tty"])
    stdin = values.on("interactive") and bool(found["Config"]["OpenStdin"])
    query = {"stream": 1, "stdin": stdin or None, "stdout": 1, "stderr": 1, "detachKeys": keys.text or None}
    kill = None if tty else f"{path}/kill"
    with Signals(session.client, kill, f"{path}/resize" if tty else None) as signals:
        sock, leftover = session.client.hijack(f"{path}/attach", query)
        condition = "removed" if found["HostConfig"]["AutoRemove"] else "next-exit"
        waiting = session.client.begin("POST", f"{path}/wait", {"condition": condition})
        waiting.accepted(ACCEPTED_WITHIN)
        _start(session, found["Id"])
        attachment = Attachment(sock, leftover, signals, tty=tty, stdin=stdin, keys=keys.keys)
        try:
            with raw_mode(tty, stdin):
                signals.resize_now()
                attachment.pump()
        except Detached:
            return 0
        wait_with_signals(waiting, signals)
        return exit_status(waiting)


COMMAND = Command(
    _run,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    at_least(1),
    (
        Flag("attach", BOOL, "Attach STDOUT/STDERR and forward signals", "a"),
        Flag("checkpoint", STRING, "Restore from this checkpoint", hidden=True),
        Flag("checkpoint-dir", STRING, "Use a custom checkpoint storage directory", hidden=True),
        DETACH_KEYS,
        Flag("interactive", BOOL, "Attach container's STDIN", "i"),
    ),
)
