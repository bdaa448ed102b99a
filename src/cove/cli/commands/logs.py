"""``cove logs``"""

from __future__ import annotations

from cove.cli.attachment import write_all
from cove.cli.command import Command, exactly
from cove.cli.failure import Failure
from cove.cli.moments import moment
from cove.cli.terminal import STDERR, STDOUT
from cove.client.streams import STDERR as FRAME_STDERR
from cove.client.streams import split
from cove.flags import BOOL, INT, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


SEARCHED = "cove-search"
"""A header of the answer of an engine that has searched; others show everything."""


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    removed = values.on("removed")
    found = None if removed else session.client.json("GET", f"/containers/{arguments[0]}/json")
    query = {
        "stdout": 1,
        "stderr": 1,
        "since": moment(values.text("since"), "since"),
        "until": moment(values.text("until"), "until"),
        "timestamps": 1 if values.on("timestamps") else None,
        "follow": 1 if values.on("follow") else None,
        "tail": values.text("tail"),
        "details": 1 if values.on("details") else None,
        "removed": 1 if removed else None,
        **_search(values),
    }
    response = session.client.stream(
        "GET", f"/containers/{found['Id'] if found else arguments[0].strip('/')}/logs", query
    )
    if "grep" in query and SEARCHED not in response.headers:
        raise Failure("this engine cannot search logs: --grep needs Cove's")
    tty = found["Config"]["Tty"] if found else "multiplexed" not in response.headers.get("content-type", "")
    if tty:
        for piece in response.pieces():
            write_all(STDOUT, piece)
    else:
        for kind, payload in split(response.pieces()):
            write_all(STDERR if kind == FRAME_STDERR else STDOUT, payload)
    return 0


def _search(values: Values) -> dict[str, str | int]:
    """The part of the query that only Cove's engine knows."""
    if not values.text("grep"):
        for name in ("ignore-case", "context", "before-context", "after-context"):
            if values.changed(name):
                raise Failure(f"--{name} needs --grep")
        return {}
    around = values.number("context")
    return {
        "grep": values.text("grep"),
        **({"ignore-case": 1} if values.on("ignore-case") else {}),
        "before": values.number("before-context") or around,
        "after": values.number("after-context") or around,
    }


COMMAND = Command(
    _run,
    "[OPTIONS] CONTAINER",
    exactly(1),
    (
        Flag("after-context", INT, "Lines to show after each line that --grep finds", "A"),
        Flag("before-context", INT, "Lines to show before each line that --grep finds", "B"),
        Flag("context", INT, "Lines to show around each line that --grep finds", "C"),
        Flag("details", BOOL, "Show extra details provided to logs"),
        Flag("follow", BOOL, "Follow log output", "f"),
        Flag("grep", STRING, "Show only lines in which this regular expression is found (searched by the engine)"),
        Flag("ignore-case", BOOL, "Let --grep take upper and lower case for the same", "i"),
        Flag("removed", BOOL, "Show the logs of a removed container, while it is in the trash"),
        Flag(
            "since",
            STRING,
            'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
        ),
        Flag("tail", STRING, "Number of lines to show from the end of the logs", "n", "all"),
        Flag("timestamps", BOOL, "Show timestamps", "t"),
        Flag(
            "until",
            STRING,
            'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
        ),
    ),
)
