"""Copying to and from what has an archive over the API, a container or a volume, by the rules of ``docker cp``."""

from __future__ import annotations

import os

from cove.cli.attachment import write_all
from cove.cli.copying import (
    Source,
    Stat,
    check_output,
    extract,
    local_destination,
    pack,
    parse_stat,
    remote_destination,
)
from cove.cli.counted import Counted
from cove.cli.failure import Failure
from cove.cli.files import read_pieces
from cove.cli.humanize import size
from cove.cli.terminal import STDIN, STDOUT
from cove.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from cove.cli.session import Session
    from cove.client.http import Response

STAT_HEADER = "x-docker-container-path-stat"


class Archive:
    """The files of one thing. ``target``: where its ``archive`` is; ``inspected``: what is asked whether it exists."""

    def __init__(self, session: Session, kind: str, name: str, target: str, inspected: str) -> None:
        self._session = session
        self._target = f"{target}/archive"
        self._inspected = inspected
        self.kind = kind
        self.name = name

    def stat(self, path: str) -> Stat | None:
        """What there is at ``path``; None when nothing can be seen there. Raises NotFound for the thing itself."""
        try:
            response = self._session.client.stream("HEAD", self._target, {"path": path})
        except InvalidArgument:  # a part of the path is no directory: to copy there may tell more
            return None
        except NotFound:
            self._session.client.json("GET", self._inspected)
            return None
        found = parse_stat(response.headers[STAT_HEADER])
        response.close()
        return found

    def get(self, path: str, root: str | None = None, query: dict[str, str] | None = None) -> Response:
        """The archive of a path. ``root``: another name for its root."""
        return self._session.client.stream("GET", self._target, {"path": path, "rootName": root, **(query or {})})

    def put(self, path: str, pieces: Iterable[bytes], options: Options) -> None:
        query = {
            "path": path,
            "noOverwriteDirNonDir": "true",
            "copyUIDGID": "true" if options.archive else None,
        }
        self._session.client.stream("PUT", self._target, query, pieces, {"Content-Type": "application/x-tar"}).read()

    def followed(self, path: str, options: Options) -> str:
        """The path that ``--follow-link`` leads to."""
        found = self.stat(path) if options.follow else None
        return os.path.join(os.path.dirname(path), found.link_target) if found and found.is_link else path

    def destination(self, path: str) -> tuple[str, Stat | None]:
        """Where to copy to, a last link followed, and what is there."""
        found = self.stat(path)
        if found and found.is_link:
            path = os.path.join(os.path.dirname(path), found.link_target)
            found = self.stat(path)
        return path, found


class Options:
    """``archive``: owners as they are. ``follow``: a link at the end of the source."""

    __slots__ = ("archive", "follow", "quiet")

    def __init__(self, *, archive: bool = False, follow: bool = False, quiet: bool = False) -> None:
        self.archive = archive
        self.follow = follow
        self.quiet = quiet


def copy_out(source: Archive, path: str, target: str, options: Options) -> None:
    """To this machine; ``-`` is the archive to stdout."""
    if target != "-":
        check_output(target)
    inside = source.followed(path, options)
    response = source.get(inside)
    if target == "-":
        for piece in response.pieces():
            write_all(STDOUT, piece)
        return
    found = parse_stat(response.headers[STAT_HEADER])
    directory, name = local_destination(target, _source(found, path, inside))
    counted = Counted(response.pieces(), f"Copying from {source.kind}", shown=not options.quiet)
    extract(counted, directory, name, keep_owner=options.archive)
    counted.end(f"Successfully copied {size(counted.total)} to {os.path.abspath(target)}")


def copy_in(source: str, target: Archive, path: str, options: Options) -> None:
    """From this machine; ``-`` is an archive from stdin."""
    real = os.path.realpath(source) if options.follow else source.rstrip("/") or "/"
    if source != "-" and not os.path.lexists(real):
        raise Failure(f"lstat {os.path.abspath(real)}: no such file or directory")
    path, there = target.destination(path)
    if source == "-":
        if there is None or not there.is_directory:
            raise Failure(f'destination "{target.name}:{path}" must be a directory')
        target.put(path, read_pieces(STDIN), options)
        return
    is_directory = os.path.isdir(source) and (options.follow or not os.path.islink(source))
    contents = source.endswith("/.") or source == "."
    local = Source(os.path.basename(os.path.abspath(source)), is_directory, contents)
    directory, name = remote_destination(path, there, local)
    packed = pack(source, name, follow=options.follow)
    counted = Counted(packed, f"Copying to {target.kind}", shown=not options.quiet)
    target.put(directory, counted, options)
    counted.end(f"Successfully copied {size(counted.total)} to {target.name}:{path}")


def copy_between(source: Archive, source_path: str, target: Archive, path: str, options: Options) -> None:
    """The archive goes through us as it is, its root named by the daemon."""
    inside = source.followed(source_path, options)
    found = source.stat(inside)
    if found is None:
        raise Failure(f"Could not find the file {source_path} in {source.kind} {source.name}")
    path, there = target.destination(path)
    directory, name = remote_destination(path, there, _source(found, source_path, inside))
    root = name or "."
    answer = source.get(inside, root)
    if parse_stat(answer.headers[STAT_HEADER]).name != root:
        raise Failure("this daemon cannot copy between containers: copy to this machine and from there")
    counted = Counted(answer.pieces(), "Copying between containers", shown=not options.quiet)
    target.put(directory, counted, options)
    counted.end(f"Successfully copied {size(counted.total)} to {target.name}:{path}")


def _source(found: Stat, path: str, inside: str) -> Source:
    """What is copied, by the name that the user typed also when a link was followed."""
    name = found.name if inside == path else os.path.basename(path.rstrip("/"))
    return Source(name, found.is_directory, path.endswith("/.") and found.is_directory)
