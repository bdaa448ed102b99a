"""Getting a context to the daemon: as a tar, or, where the daemon keeps contexts, only what it lacks of it."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from cove.cli.build_contexts.preparing import Directory, Prepared, Remote
from cove.cli.failure import Failure
from cove.contexts import Digests, Entry, is_small, listed, selected, tar_pieces, walk
from cove.errors import InvalidArgument, NotFound, Unimplemented

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.client.api import Client

SMALL_FILES = 300
SMALL_SIZE = 1 << 20
"""What is sent as a tar at once: asking first would take as long."""

Body = Iterable[bytes]

_HEADERS = {"Content-Type": "application/x-ndjson"}


Needs = Callable[[Directory], "set[str] | None"]
"""Which paths of a directory the build is going to want; None is everything."""


def send(client: Client, prepared: Prepared, needs: Needs | None = None) -> tuple[dict[str, str], Body | None]:
    """What to ask of ``POST /build``, and its body, if any: a tar, or a Dockerfile. Raises Failure, CoveError."""
    query = {"dockerfile": prepared.dockerfile} if prepared.dockerfile else {}
    if isinstance(prepared, Remote):
        return {**query, "remote": prepared.url}, None if prepared.text is None else [prepared.text]
    if not isinstance(prepared, Directory):
        return query, prepared.body
    try:
        small, entries = _small(prepared)
        if not small and needs is not None and (needed := needs(prepared)) is not None:
            prepared.selection = replace(prepared.selection, needed=needed)
            small, entries = _small(prepared)
        if small or prepared.extra or not _keeps(client):
            return query, _told(tar_pieces(entries, prepared.extra))
        return {**query, "remote": f"cove-context:{_offered(client, prepared, entries)}"}, None
    except InvalidArgument as error:
        raise Failure(error.message) from error


def _small(directory: Directory) -> tuple[bool, Iterator[Entry]]:
    return is_small(walk(directory.root, directory.selection), SMALL_FILES, SMALL_SIZE)


def _told(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except InvalidArgument as error:
        raise Failure(error.message) from error


def _keeps(client: Client) -> bool:
    """Whether the daemon keeps contexts; another engine does not know the question."""
    try:
        client.json("GET", "/cove/contexts")
    except (NotFound, Unimplemented):
        return False
    return True


def _offered(client: Client, prepared: Directory, entries: Iterator[Entry]) -> str:
    """List the context and send what is missing; its id."""
    key = hashlib.sha256(
        "\0".join((socket.gethostname(), prepared.root)).encode("utf-8", "surrogateescape")
    ).hexdigest()
    with Digests(_cache() / key, prepared.selection.wants) as digests:
        response = client.stream("POST", "/cove/contexts", {"key": key}, listed(entries, digests), _HEADERS)
        answer = json.loads(response.read())
    response.close()
    if missing := set(answer["Missing"]):
        body = _told(selected(walk(prepared.root, prepared.selection), missing))
        headers = {"Content-Type": "application/octet-stream"}
        client.stream("POST", f"/cove/contexts/{answer['Id']}/files", None, body, headers).close()
    return str(answer["Id"])


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache")) / "cove" / "contexts"
