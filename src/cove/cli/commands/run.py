"""``cove run``: create, attach, wait, start, and be the container's terminal until it ends."""

from __future__ import annotations

from cove.cli.attachment import Attachment, Detached, raw_mode, wait_with_signals
from cove.cli.command import Command, at_least
from cove.cli.commands.create import create_container, with_help
from cove.cli.creation.body import build
from cove.cli.creation.flags import CREATION_FLAGS
from cove.cli.creation.id_file import IdFileError
from cove.cli.failure import Failure, describe
from cove.cli.options import DETACH_KEYS
from cove.cli.signals import Signals
from cove.cli.streaming import check_terminal, detach_keys
from cove.errors import CoveError
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.client.api import Pending
    from cove.flags import Values

FAILED = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127
# How long a daemon may take to say that it has noted a wait before the container is started all the same.
ACCEPTED_WITHIN = 2.0


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    try:
        body = build(values, arguments[0], arguments[1:])
    except ValueError as error:
        raise with_help(session, str(error), FAILED) from None
    try:
        if values.on("detach"):
            return _detached(session, values, body)
        check_terminal(body["AttachStdin"], body["Tty"])
        return _attached(session, values, body)
    except IdFileError as error:
        raise with_help(session, str(error), _code(str(error))) from error


def _detached(session: Session, values: Values, body: dict[str, Any]) -> int:
    if values.many("attach"):
        raise Failure("conflicting options: cannot specify both --attach and --detach")
    body.update(AttachStdin=False, AttachStdout=False, AttachStderr=False, StdinOnce=False)
    try:
        identity = create_container(session, values, body)
        session.client.json("POST", f"/containers/{identity}/start")
    except CoveError as error:
        raise _failure(session, error) from error
    session.print(identity)
    return 0


def _attached(session: Session, values: Values, body: dict[str, Any]) -> int:
    keys = detach_keys(session, values)
    try:
        identity = create_container(session, values, body)
    except CoveError as error:
        raise _failure(session, error) from error
    path = f"/containers/{identity}"
    query = {
        "stream": 1,
        "stdin": body["AttachStdin"] or None,
        "stdout": body["AttachStdout"] or None,
        "stderr": body["AttachStderr"] or None,
        "detachKeys": keys.text or None,
    }
    sock, leftover = session.client.hijack(f"{path}/attach", query)
    condition = "removed" if values.on("rm") else "next-exit"
    waiting = session.client.begin("POST", f"{path}/wait", {"condition": condition})
    waiting.accepted(ACCEPTED_WITHIN)
    kill = f"{path}/kill" if values.on("sig-proxy") else None
    tty, stdin = body["Tty"], body["AttachStdin"]
    with Signals(session.client, kill, f"{path}/resize" if tty else None) as signals:
        attachment = Attachment(sock, leftover, signals, tty=tty, stdin=stdin, keys=keys.keys)
        _start(session, path, waiting if values.on("rm") else None)
        outputs = body["AttachStdout"] or body["AttachStderr"]
        return _follow(attachment, signals, waiting, outputs)


def _start(session: Session, path: str, removal: Pending | None) -> None:
    try:
        session.client.json("POST", f"{path}/start")
    except CoveError as error:
        if removal is not None:
            _removed(removal)
        raise _failure(session, error) from error


def _removed(removal: Pending) -> None:
    """A container that could not start is removed all the same; do not end before that."""
    try:
        removal.json()
    except CoveError:
        return


def _follow(attachment: Attachment, signals: Signals, waiting: Pending, outputs: bool) -> int:
    try:
        with raw_mode(attachment.tty, attachment.stdin):
            signals.resize_now()
            attachment.pump(None if outputs else waiting)
    except Detached:
        return 0
    wait_with_signals(waiting, signals)
    return exit_status(waiting)


def exit_status(waiting: Pending) -> int:
    """The container's exit code; 125, with the reason, when it could not be waited for."""
    try:
        result = waiting.json()
    except CoveError as error:
        raise Failure(f"error waiting for container: {error.message}", FAILED) from error
    if result.get("Error"):
        raise Failure(f"Error waiting for container: {result['Error'].get('Message', '')}", FAILED)
    return int(result["StatusCode"])


def _failure(session: Session, error: CoveError) -> Failure:
    return with_help(session, describe(error), _code(error.message))


def _code(message: str) -> int:
    """The exit code tells what could not be executed from what could not be found, and both from the rest."""
    if "executable file not found" in message or "no such file or directory" in message:
        return NOT_FOUND
    if "permission denied" in message or "is a directory" in message:
        return NOT_EXECUTABLE
    return FAILED


COMMAND = Command(
    _run,
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    at_least(1),
    (
        *CREATION_FLAGS,
        DETACH_KEYS,
        Flag("detach", BOOL, "Run container in background and print container ID", "d"),
        Flag("pull", STRING, 'Pull image before running ("always", "missing", "never")', default="missing"),
        Flag("sig-proxy", BOOL, "Proxy received signals to the process", default=True),
        Flag("use-api-socket", BOOL, "Bind mount Docker API socket and required auth"),
    ),
    interspersed=False,
)
