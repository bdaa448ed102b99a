"""``cove push``"""

from __future__ import annotations

import io

from cove.cli import credentials
from cove.cli.command import Command, exactly
from cove.cli.failure import Failure
from cove.cli.platforms import encode
from cove.cli.progress import display
from cove.cli.references import canonical, repository_and_tag
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    image, every, quiet = arguments[0], values.on("all-tags"), values.on("quiet")
    if "@" in image:
        raise Failure("cannot push a digest reference")
    name, tag = repository_and_tag(image)
    if every and tag:
        raise Failure("tag can't be used with --all-tags/-a")
    if not every and not tag:
        tag = "latest"
        if not quiet:
            session.print("Using default tag: latest")
    query = {"tag": None if every else tag, "platform": encode(values.text("platform"))}
    headers = {"X-Registry-Auth": credentials.header(session, name)}
    response = session.client.stream("POST", f"/images/{name}/push", query, None, headers)
    notes: list[Any] = []
    display(response.lines(), io.StringIO() if quiet else session.stdout, notes.append)
    response.close()
    _tell(session, notes)
    if quiet:
        session.print(canonical(name if every else f"{name}:{tag}"))
    return 0


def _tell(session: Session, notes: list[Any]) -> None:
    """What was not pushed as a whole."""
    for note in notes:
        if note.get("manifestPushedInsteadOfIndex"):
            before, after = note["originalIndex"]["digest"], note["selectedManifest"]["digest"]
            session.warn(
                "Info → Not all multiplatform-content is present and only the available single-platform image was "
                f"pushed\n         {before} -> {after}"
            )


COMMAND = Command(
    _run,
    "[OPTIONS] NAME[:TAG]",
    exactly(1),
    (
        Flag("all-tags", BOOL, "Push all tags of an image to the repository", "a"),
        Flag("disable-content-trust", BOOL, "Skip image signing", default=True),
        Flag(
            "platform",
            STRING,
            "Push a platform-specific manifest as a single-platform image to the registry.\n"
            "Image index won't be pushed, meaning that other manifests, including attestations won't be preserved.\n"
            "'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)",
            needs="1.46",
        ),
        Flag("quiet", BOOL, "Suppress verbose output", "q"),
    ),
)
