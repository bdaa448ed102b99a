"""``cove exec``"""

from __future__ import annotations

from cove.cli.attachment import Attachment, Detached, raw_mode
from cove.cli.command import Command, at_least
from cove.cli.creation.key_value_files import read_pairs
from cove.cli.creation.kinds import ENVIRONMENT
from cove.cli.failure import Failure
from cove.cli.options import DETACH_KEYS
from cove.cli.signals import Signals
from cove.cli.streaming import check_terminal, detach_keys
from cove.cli.terminal import size
from cove.flags import BOOL, LIST, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    container, command = arguments[0], arguments[1:]
    detach, tty = values.on("detach"), values.on("tty")
    body = _body(session, values, command)
    if not detach and body["AttachStdin"] and tty:
        # "No such container" takes precedence over what is wrong with our own terminal.
        session.client.json("GET", f"/containers/{container}/json")
        check_terminal(True, True)
    identity = session.client.json("POST", f"/containers/{container}/exec", body=body)["Id"]
    start: dict[str, Any] = {"Detach": detach, "Tty": tty}
    if tty:
        start["ConsoleSize"] = body["ConsoleSize"]
    if detach:
        session.client.json("POST", f"/exec/{identity}/start", body=start)
        return 0
    return _attached(session, values, identity, start, stdin=body["AttachStdin"])


def _body(session: Session, values: Values, command: list[str]) -> dict[str, Any]:
    environment: list[str] = []
    try:
        for path in values.many("env-file"):
            environment += read_pairs(path, from_environment=True)
    except ValueError as error:
        raise Failure(str(error)) from None
    environment += values.many("env")
    attach = not values.on("detach")
    body = {
        "User": values.text("user"),
        "Privileged": values.on("privileged"),
        "Tty": values.on("tty"),
        "AttachStdin": attach and values.on("interactive"),
        "AttachStdout": attach,
        "AttachStderr": attach,
        "Detach": not attach,
        "DetachKeys": detach_keys(session, values).text,
        "Env": environment or None,
        "WorkingDir": values.text("workdir"),
        "Cmd": command,
    }
    if values.on("tty"):
        body["ConsoleSize"] = list(size())
    return body


def _attached(session: Session, values: Values, identity: str, start: dict[str, Any], *, stdin: bool) -> int:
    tty = bool(start["Tty"])
    sock, leftover = session.client.hijack(f"/exec/{identity}/start", body=start)
    resize = f"/exec/{identity}/resize" if tty else None
    with Signals(session.client, None, resize) as signals:
        keys = detach_keys(session, values).keys
        attachment = Attachment(sock, leftover, signals, tty=tty, stdin=stdin, keys=keys)
        try:
            with raw_mode(tty, stdin):
                signals.resize_now()
                attachment.pump()
        except Detached:
            raise Failure("read escape sequence") from None
    return int(session.client.json("GET", f"/exec/{identity}/json")["ExitCode"] or 0)


COMMAND = Command(
    _run,
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    at_least(2),
    (
        Flag("detach", BOOL, "Detached mode: run command in the background", "d"),
        DETACH_KEYS,
        Flag("env", ENVIRONMENT, "Set environment variables", "e"),
        Flag("env-file", LIST, "Read in a file of environment variables"),
        Flag("interactive", BOOL, "Keep STDIN open even if not attached", "i"),
        Flag("privileged", BOOL, "Give extended privileges to the command"),
        Flag("tty", BOOL, "Allocate a pseudo-TTY", "t"),
        Flag("user", STRING, 'Username or UID (format: "<name|uid>[:<group|gid>]")', "u"),
        Flag("workdir", STRING, "Working directory inside the container", "w"),
    ),
    interspersed=False,
)
