"""``--use-api-socket``: a container that may use the engine's API as the user does, and has the user's credentials."""

from __future__ import annotations

import json

from cove.cli.credentials import as_auths
from cove.cli.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session

SOCKET = "/var/run/docker.sock"
DIRECTORY = "/run/secrets/docker"


def lend(session: Session, body: dict[str, Any]) -> dict[str, Any]:
    """Add the mount, and the variable that leads to the credentials, to a create request; return those credentials.

    A container that is told of another configuration gets none. Raises Failure when the daemon is not on a socket here.
    """
    endpoint = session.client.endpoint
    if not isinstance(endpoint.address, str):
        raise Failure(
            f"flag --use-api-socket can only be used with unix sockets: docker endpoint {endpoint.url} incompatible"
        )
    mount = {"Type": "bind", "Source": endpoint.address, "Target": SOCKET, "BindOptions": {}}
    body["HostConfig"].setdefault("Mounts", []).append(mount)
    environment = body["Env"] or []
    if any(variable.startswith("DOCKER_CONFIG=") for variable in environment):
        return {}
    credentials = as_auths(session)
    if not credentials:
        return {}
    body["Env"] = [*environment, f"DOCKER_CONFIG={DIRECTORY}"]
    return credentials


def hand_over(session: Session, identity: str, credentials: dict[str, Any]) -> None:
    """Put the credentials, if there are any, into a container that was just created."""
    if not credentials:
        return
    query = {"noOverwriteDirNonDir": "true", "path": "/"}
    headers = {"Content-Type": "application/x-tar"}
    session.client.request("PUT", f"/containers/{identity}/archive", query, _archive(credentials), headers).close()


def _archive(credentials: dict[str, Any]) -> bytes:
    import io
    import tarfile

    content = json.dumps({"auths": credentials}, indent="\t").encode()
    entry = tarfile.TarInfo(f"{DIRECTORY.lstrip('/')}/config.json")
    entry.size, entry.mode = len(content), 0o600
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
