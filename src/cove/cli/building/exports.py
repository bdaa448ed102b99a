"""``--output`` and ``--push``: an image that was built as an archive, as files, or in a registry."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

from cove.cli import credentials
from cove.cli.building.loading import unload
from cove.cli.building.options import ARCHIVES, FILES, STDOUT, names, outputs, stays, temporary_name
from cove.cli.failure import Failure
from cove.cli.progress import display
from cove.cli.references import repository_and_tag
from cove.platform import Platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from tarfile import TarFile, TarInfo
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Parts = list[tuple[str, str]]


class Exports:
    """What becomes of the image of one build. ``build``: its id; ``image``: the image's."""

    def __init__(self, session: Session, values: Values, build: str, image: str) -> None:
        self._session = session
        self._values = values
        self._stays = stays(values)
        self._temporary = temporary_name(build)
        self._image = image if self._stays else self._temporary

    def hand_out(self) -> None:
        """Write and push what was asked for; then nothing is left of what was only there for that. Raises Failure."""
        try:
            for output in outputs(self._values):
                self._one(output)
            if self._values.on("push"):
                push(self._session, names(self._values))
        finally:
            if not self._stays:
                unload(self._session, [self._temporary])

    def _one(self, output: dict[str, str]) -> None:
        if output["type"] in ARCHIVES and output.get("dest"):
            self._save(output["dest"])
        elif output["type"] in FILES:
            self._files(output)
        elif output["type"] == "registry" or output.get("push") == "true":
            push(self._session, names(self._values))

    def _save(self, place: str) -> None:
        called = names(self._values)
        query = {"names": [self._temporary], "as": called} if not self._stays else {"names": called or [self._image]}
        _write(self._session.client.stream("GET", "/images/get", query).pieces(), place)

    def _files(self, output: dict[str, str]) -> None:
        platforms = [Platform.parse(text) for each in self._values.many("platform") for text in each.split(",")]
        split = output.get("platform-split", "true" if len(platforms) > 1 else "false") != "false"
        parts: Parts = [(str(each), _directory_name(each) if split else "") for each in platforms] or [("", "")]
        if output["type"] == "local":
            self._directories(parts, output["dest"])
        elif parts == [("", "")]:
            with self._root("") as pieces:
                _write(pieces, output["dest"])
        else:
            self._archive(parts, output["dest"])

    def _directories(self, parts: Parts, place: str) -> None:
        for platform, name in parts:
            directory = os.path.join(place, name) if name else place
            os.makedirs(directory, exist_ok=True)
            with self._root(platform) as pieces, _opened(pieces) as archive:
                archive.extractall(directory, filter="tar")

    def _archive(self, parts: Parts, place: str) -> None:
        """One tar with the files of each platform, in a directory of its own where they have one."""
        import tarfile

        try:
            with _destination(place) as file, tarfile.open(fileobj=file, mode="w|") as made:
                for platform, name in parts:
                    with self._root(platform) as pieces, _opened(pieces) as archive:
                        if name:
                            made.addfile(_top(name))
                        for member in archive:
                            made.addfile(_below(member, name), archive.extractfile(member) if member.isreg() else None)
        except OSError as error:
            raise Failure(f"--output dest={place}: {error.strerror}") from error

    @contextmanager
    def _root(self, platform: str) -> Iterator[Iterator[bytes]]:
        """The files of the image as a tar: of a container that is never started."""
        query = {"platform": platform or None}
        wanted = {"Image": self._image, "Cmd": ["/"], "NetworkDisabled": True}
        made = self._session.client.json("POST", "/containers/create", query, wanted)["Id"]
        try:
            yield self._session.client.stream("GET", f"/containers/{made}/export").pieces()
        finally:
            self._session.client.json("DELETE", f"/containers/{made}", {"force": True})


def _directory_name(platform: Platform) -> str:
    """As BuildKit's exporters call the directory of a platform."""
    return str(platform).replace("/", "_")


@contextmanager
def _opened(pieces: Iterator[bytes]) -> Iterator[TarFile]:
    import tarfile

    stream: Any = _Stream(pieces)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        yield archive


def _top(name: str) -> TarInfo:
    from tarfile import DIRTYPE, TarInfo

    entry = TarInfo(name)
    entry.type, entry.mode = DIRTYPE, 0o755
    return entry


def _below(member: TarInfo, directory: str) -> TarInfo:
    """An entry inside a directory; hard links are named from the archive's top, symbolic ones are not."""
    if not directory:
        return member
    records = member.pax_headers.items()
    member.pax_headers = {name: value for name, value in records if name not in ("path", "linkpath")}
    member.name = f"{directory}/{member.name.removeprefix('./')}"
    if member.islnk():
        member.linkname = f"{directory}/{member.linkname.removeprefix('./')}"
    return member


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


def push(session: Session, given: list[str]) -> None:
    """Raises Failure when the image has no name."""
    if not given:
        raise Failure("tag is needed when pushing to registry")
    for name in given:
        repository, tag = repository_and_tag(name)
        headers = {"X-Registry-Auth": credentials.header(session, repository)}
        response = session.client.stream("POST", f"/images/{repository}/push", {"tag": tag or "latest"}, None, headers)
        display(response.lines(), session.stderr)


@contextmanager
def _destination(place: str) -> Iterator[Any]:
    if place == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with open(place, "wb") as file:
        yield file


def _write(pieces: Iterable[bytes], place: str) -> None:
    try:
        with _destination(place) as file:
            for piece in pieces:
                file.write(piece)
    except OSError as error:
        raise Failure(f"--output dest={place}: {error.strerror}") from error
