"""Fetching an image: the request, and its progress."""

from __future__ import annotations

import io

from cove.cli import credentials
from cove.cli.progress import display
from cove.cli.references import pull_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session


def pull(session: Session, image: str, platform: str, *, quiet: bool, to_stderr: bool, all_tags: bool = False) -> None:
    """Ask the daemon to fetch ``image`` and show how it goes. Raises CoveError and Failure."""
    name, tag = pull_target(image)
    query = {"fromImage": name, "tag": None if all_tags else tag, "platform": platform or None}
    headers = {"X-Registry-Auth": credentials.header(session, name)}
    response = session.client.stream("POST", "/images/create", query, None, headers)
    out = io.StringIO() if quiet else session.stderr if to_stderr else session.stdout
    display(response.lines(), out)
    response.close()
