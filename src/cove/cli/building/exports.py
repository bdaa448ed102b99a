"""``--output`` and ``--push``: an image that was built as an archive, as files, or in a registry."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

from cove.cli import credentials
from cove.cli.building.options import ARCHIVES, FILES, names, outputs
from cove.cli.failure import Failure
from cove.cli.progress import display
from cove.cli.references import repository_and_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values


def export(session: Session, values: Values, image: str) -> None:
    """Hand out what was built. Raises Failure."""
    for output in outputs(values):
        if output["type"] in ARCHIVES and output.get("dest"):
            _save(session, names(values) or [image], output["dest"])
        elif output["type"] == "tar":
            _files(session, image, output["dest"])
        elif output["type"] == "local":
            _directory(session, image, output["dest"])
        elif output["type"] == "registry" or output.get("push") == "true":
            push(session, names(values))
    if values.on("push"):
        push(session, names(values))
    if image and not names(values) and {given["type"] for given in outputs(values)} <= {*FILES} and outputs(values):
        session.client.json("DELETE", f"/images/{image}")


def _save(session: Session, given: list[str], place: str) -> None:
    response = session.client.stream("GET", "/images/get", {"names": given})
    _write(response.pieces(), place)


def _files(session: Session, image: str, place: str) -> None:
    """The files of an image as a tar: of a container that is never started."""
    with _container(session, image) as container:
        _write(session.client.stream("GET", f"/containers/{container}/export").pieces(), place)


def _directory(session: Session, image: str, place: str) -> None:
    import tarfile

    os.makedirs(place, exist_ok=True)
    with _container(session, image) as container:
        pieces = session.client.stream("GET", f"/containers/{container}/export").pieces()
        stream: Any = _Stream(pieces)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            archive.extractall(place, filter="tar")


class _Stream:
    """Pieces as a file that is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, count: int = -1) -> bytes:
        while (count < 0 or len(self._rest) < count) and (piece := next(self._pieces, b"")):
            self._rest += piece
        taken, self._rest = (self._rest, b"") if count < 0 else (self._rest[:count], self._rest[count:])
        return taken


@contextmanager
def _container(session: Session, image: str) -> Iterator[str]:
    made = session.client.json(
        "POST", "/containers/create", None, {"Image": image, "Cmd": ["/"], "NetworkDisabled": True}
    )
    try:
        yield made["Id"]
    finally:
        session.client.json("DELETE", f"/containers/{made['Id']}", {"force": True})


def push(session: Session, given: list[str]) -> None:
    """Raises Failure when the image has no name."""
    if not given:
        raise Failure("tag is needed when pushing to registry")
    for name in given:
        repository, tag = repository_and_tag(name)
        headers = {"X-Registry-Auth": credentials.header(session, repository)}
        response = session.client.stream("POST", f"/images/{repository}/push", {"tag": tag or "latest"}, None, headers)
        display(response.lines(), session.stderr)


def _write(pieces: Iterable[bytes], place: str) -> None:
    if place == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    try:
        with open(place, "wb") as file:
            for piece in pieces:
                file.write(piece)
    except OSError as error:
        raise Failure(f"--output dest={place}: {error.strerror}") from error
