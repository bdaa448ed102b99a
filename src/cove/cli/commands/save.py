"""``cove save``"""

from __future__ import annotations

from cove.cli.command import Command, at_least
from cove.cli.failure import Failure
from cove.cli.files import save_to
from cove.cli.platforms import encode_all
from cove.cli.terminal import STDOUT, is_terminal
from cove.flags import STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    output = values.text("output")
    if not output and is_terminal(STDOUT):
        raise Failure("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    query = {"names": arguments, "platform": encode_all(values.text("platform"))}
    save_to(output, "save image", lambda: session.client.stream("GET", "/images/get", query))
    return 0


COMMAND = Command(
    _run,
    "[OPTIONS] IMAGE [IMAGE...]",
    at_least(1),
    (
        Flag("output", STRING, "Write to a file, instead of STDOUT", "o"),
        Flag(
            "platform",
            STRING,
            'Save only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
            needs="1.48",
        ),
    ),
)
