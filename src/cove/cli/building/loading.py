"""Images that are loaded into the daemon for one build alone."""

from __future__ import annotations

import json

from cove.cli.failure import Failure
from cove.errors import CoveError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from cove.cli.session import Session


def load(session: Session, pieces: Iterable[bytes], flag: str) -> str:
    """Load an archive with one image; its name, or its id where it has none. Raises Failure naming the flag."""
    headers = {"Content-Type": "application/x-tar"}
    response = session.client.stream("POST", "/images/load", {"quiet": 1}, pieces, headers)
    name = ""
    for line in response.lines():
        told = json.loads(line) if line.strip() else {}
        if told.get("error"):
            raise Failure(f"{flag}: {told['error']}")
        name = told.get("stream", "").rpartition(": ")[2].strip() or name
    return name


def unload(session: Session, names: Iterable[str], *, force: bool = False) -> None:
    """Take names away again, and images that had no other."""
    for name in names:
        try:
            session.client.json("DELETE", f"/images/{name}", {"force": force or None})
        except CoveError:  # there is none: what was to make it has failed
            continue
