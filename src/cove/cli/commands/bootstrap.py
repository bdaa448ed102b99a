"""``cove image bootstrap``: a base image from a distribution's packages, without a registry."""

from __future__ import annotations

from cove.cli.command import Command, exactly
from cove.cli.progress import display_made
from cove.flags import BOOL, STRING, STRINGS, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    """Asks the daemon, at an endpoint of Cove's own that answers with a progress stream."""
    query = {
        "recipe": arguments[0],
        "tag": values.text("tag") or None,
        "mirror": values.text("mirror") or None,
        "keyring": values.text("keyring") or None,
        "suite": values.text("suite") or None,
        "platform": values.text("arch") or values.text("platform") or None,
        "variant": values.text("variant") or None,
        "include": values.many("include"),
        "snapshot": values.text("snapshot") or None,
    }
    response = session.client.stream("POST", "/cove/images/bootstrap", query)
    display_made(response.lines(), session, quiet=values.on("quiet"))
    return 0


COMMAND = Command(
    _run,
    "[OPTIONS] NAME",
    exactly(1),
    (
        Flag("arch", STRING, "Make it for this processor, in the distribution's words (default: the machine's own)"),
        Flag("include", STRINGS, "Install these packages too, or in distroless these alone"),
        Flag("keyring", STRING, "Trust the signatures of this keyring (default: the machine's own apt keyrings)"),
        Flag("mirror", STRING, "Fetch from this package mirror (default: the machine's own apt configuration)"),
        Flag("platform", STRING, "Make it for this platform (default: the machine's own)"),
        Flag("quiet", BOOL, "Only show the image ID", "q"),
        Flag("snapshot", STRING, "Refuse an index of another date (SUITE=DATE, as in the labels of an image)"),
        Flag("suite", STRING, "Release of the distribution (default: the machine's own)"),
        Flag("tag", STRING, "Tag to give the image", "t"),
        Flag("variant", STRING, "How much of a distribution: minbase, slim, distroless (default: minbase)"),
    ),
)
