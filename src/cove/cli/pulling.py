"""Fetching an image: the request, and its progress."""

from __future__ import annotations

import io
import json

from cove.cli.progress import display
from cove.cli.references import pull_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session

_DEFAULT_REGISTRY_KEY = "https://index.docker.io/v1/"


def pull(session: Session, image: str, platform: str, *, quiet: bool, to_stderr: bool, all_tags: bool = False) -> None:
    """Ask the daemon to fetch ``image`` and show how it goes. Raises CoveError and Failure."""
    name, tag = pull_target(image)
    query = {"fromImage": name, "tag": None if all_tags else tag, "platform": platform or None}
    headers = {"X-Registry-Auth": credentials(session, name)}
    response = session.client.stream("POST", "/images/create", query, None, headers)
    out = io.StringIO() if quiet else session.stderr if to_stderr else session.stdout
    display(response.lines(), out)
    response.close()


def credentials(session: Session, name: str) -> str:
    """What config.json holds for the registry, encoded as the API's header wants it; an empty object if nothing."""
    import base64

    first = name.partition("/")[0]
    is_host = "/" in name and ("." in first or ":" in first or first == "localhost")
    key = first if is_host else _DEFAULT_REGISTRY_KEY
    entry = (session.config.get("auths") or {}).get(key) or {}
    auth = {}
    if entry.get("auth"):
        user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        auth = {"username": user, "password": password, "serveraddress": key}
    if entry.get("identitytoken"):
        auth["identitytoken"] = entry["identitytoken"]
    return base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()
