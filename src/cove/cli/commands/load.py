"""``cove load`` and ``cove import``: an archive goes up, progress comes back."""

from __future__ import annotations

import os

from cove.cli.command import NO_ARGUMENTS, Arguments, Command
from cove.cli.failure import Failure
from cove.cli.files import open_input, read_pieces
from cove.cli.platforms import encode_all
from cove.cli.progress import display
from cove.cli.references import repository_and_tag
from cove.cli.terminal import STDIN, STDOUT, is_terminal
from cove.flags import BOOL, LIST, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _load(session: Session, values: Values, arguments: list[str]) -> int:
    path = values.text("input")
    if not path and is_terminal(STDIN):
        raise Failure("requested load from stdin, but stdin is empty")
    quiet = values.on("quiet") or not is_terminal(STDOUT)
    source = open_input(path) if path else STDIN
    headers = {"Content-Type": "application/x-tar"}
    query = {"quiet": int(quiet), "platform": encode_all(values.text("platform"))}
    response = session.client.stream("POST", "/images/load", query, read_pieces(source), headers)
    if "json" in response.headers.get("content-type", ""):
        display(response.lines(), session.stdout)
    else:
        session.stdout.write(response.read().decode("utf-8", "replace"))
    return 0


def _import(session: Session, values: Values, arguments: list[str]) -> int:
    source = arguments[0]
    repository, tag = repository_and_tag(arguments[1]) if len(arguments) > 1 else ("", "")
    is_url = source.startswith(("http://", "https://"))
    query = {
        "fromSrc": source if is_url else "-",
        "repo": repository or None,
        "tag": tag or None,
        "message": values.text("message") or None,
        "changes": values.many("change") or None,
        "platform": values.text("platform") or None,
    }
    body = None if is_url else read_pieces(STDIN if source == "-" else open_input(os.path.expanduser(source)))
    headers = {"Content-Type": "application/x-tar"}
    response = session.client.stream("POST", "/images/create", query, body, headers)
    display(response.lines(), session.stdout)
    return 0


LOAD = Command(
    _load,
    "[OPTIONS]",
    NO_ARGUMENTS,
    (
        Flag("input", STRING, "Read from tar archive file, instead of STDIN", "i"),
        Flag(
            "platform",
            STRING,
            'Load only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
            needs="1.48",
        ),
        Flag("quiet", BOOL, "Suppress the load output", "q"),
    ),
)

IMPORT = Command(
    _import,
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    Arguments(1, None),
    (
        Flag("change", LIST, "Apply Dockerfile instruction to the created image", "c"),
        Flag("message", STRING, "Set commit message for imported image", "m"),
        Flag("platform", STRING, "Set platform if server is multi-platform capable"),
    ),
)
