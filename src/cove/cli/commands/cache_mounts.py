"""``cove builder``: export-mounts, import-mounts"""

from __future__ import annotations

import json

from cove.cli.command import NO_ARGUMENTS, Command
from cove.cli.failure import Failure
from cove.cli.files import open_input, read_pieces, save_to
from cove.cli.terminal import STDIN, STDOUT, is_terminal
from cove.flags import STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values

PATH = "/cove/cache-mounts"


def _export(session: Session, values: Values, arguments: list[str]) -> int:
    output = values.text("output")
    if not output and is_terminal(STDOUT):
        raise Failure("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    save_to("" if output == "-" else output, "export the cache mounts", lambda: session.client.stream("GET", PATH))
    return 0


def _import(session: Session, values: Values, arguments: list[str]) -> int:
    given = values.text("input")
    if not given and is_terminal(STDIN):
        raise Failure("requested import from stdin, but stdin is empty")
    source = STDIN if given in ("", "-") else open_input(given)
    headers = {"Content-Type": "application/zstd"}
    answer = json.loads(session.client.stream("POST", PATH, None, read_pieces(source), headers).read())
    session.print(f"Imported cache mounts: {answer['Mounts']}")
    return 0


EXPORT = Command(
    _export,
    "[OPTIONS]",
    NO_ARGUMENTS,
    (Flag("output", STRING, "Write to a file, instead of STDOUT", "o"),),
    long="Write the files of all cache mounts (RUN --mount=type=cache) as a tar.zst, for a machine that has none",
)
IMPORT = Command(
    _import,
    "[OPTIONS]",
    NO_ARGUMENTS,
    (Flag("input", STRING, "Read from a file, instead of STDIN", "i"),),
    long="Fill cache mounts from an archive of export-mounts. Those that have files here are left as they are",
)
