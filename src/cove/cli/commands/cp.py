"""``cove cp``"""

from __future__ import annotations

import os

from cove.cli.attachment import write_all
from cove.cli.command import Command, exactly
from cove.cli.copying import Stat, extract, local_destination, pack, parse_stat, split_copy
from cove.cli.failure import Failure
from cove.cli.files import read_pieces
from cove.cli.humanize import size
from cove.cli.terminal import STDERR, STDIN, STDOUT, is_terminal
from cove.errors import NotFound
from cove.flags import BOOL, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    source, source_path = split_copy(arguments[0])
    target, target_path = split_copy(arguments[1])
    if not arguments[0] or not arguments[1]:
        raise Failure("source can not be empty" if not arguments[0] else "destination can not be empty")
    if source and target:
        raise Failure("copying between containers is not supported")
    if source:
        return _from_container(session, values, source, source_path, target_path)
    if target:
        return _to_container(session, values, target, source_path, target_path)
    raise Failure("must specify at least one container source")


def _from_container(session: Session, values: Values, container: str, path: str, target: str) -> int:
    inside = path
    if values.on("follow-link"):
        stat = _stat(session, container, path)
        if stat and stat.is_link:
            inside = os.path.join(os.path.dirname(path), stat.link_target)
    response = session.client.stream("GET", f"/containers/{container}/archive", {"path": inside})
    if target == "-":
        for piece in response.pieces():
            write_all(STDOUT, piece)
        return 0
    found = parse_stat(response.headers["x-docker-container-path-stat"])
    directory, name = local_destination(target, found, contents=path.endswith("/."))
    counted = _Counted(response.pieces())
    extract(counted, directory, name, keep_owner=values.on("archive"))
    _say(values, f"Successfully copied {size(counted.total)} to {os.path.abspath(target)}")
    return 0


def _to_container(session: Session, values: Values, container: str, source: str, path: str) -> int:
    if source != "-" and not os.path.lexists(source.rstrip("/") or "/"):
        raise Failure(f"lstat {os.path.abspath(source)}: no such file or directory")
    target = _stat(session, container, path)
    if target and target.is_link:
        path = os.path.join(os.path.dirname(path), target.link_target)
        target = _stat(session, container, path)
    query = {"path": path, "noOverwriteDirNonDir": "true", "copyUIDGID": "true" if values.on("archive") else None}
    headers = {"Content-Type": "application/x-tar"}
    if source == "-":
        if target is None or not target.is_directory:
            raise Failure(f'destination "{container}:{path}" must be a directory')
        session.client.stream("PUT", f"/containers/{container}/archive", query, read_pieces(STDIN), headers).read()
        return 0
    directory, name = _remote_destination(path, target, source)
    query["path"] = directory
    counted = _Counted(pack(source, name, follow=values.on("follow-link")))
    session.client.stream("PUT", f"/containers/{container}/archive", query, counted, headers).read()
    _say(values, f"Successfully copied {size(counted.total)} to {container}:{path}")
    return 0


def _remote_destination(path: str, target: Stat | None, source: str) -> tuple[str, str]:
    """The directory to unpack in, and the name there ("" for the contents of a directory)."""
    is_directory = os.path.isdir(source)
    if target is not None and target.is_directory:
        contents = source.endswith("/.") or source == "."
        return path, "" if contents else os.path.basename(os.path.abspath(source))
    if target is not None and is_directory:
        raise Failure("cannot copy directory")
    if target is None and path.endswith("/") and not is_directory:
        raise Failure("no such directory")
    stripped = path.rstrip("/")
    return os.path.dirname(stripped) or "/", os.path.basename(stripped)


def _stat(session: Session, container: str, path: str) -> Stat | None:
    """What the container has at ``path``; None when nothing. Raises NotFound for the container itself."""
    try:
        response = session.client.stream("HEAD", f"/containers/{container}/archive", {"path": path})
    except NotFound:
        session.client.json("GET", f"/containers/{container}/json")
        return None
    stat = parse_stat(response.headers["x-docker-container-path-stat"])
    response.close()
    return stat


def _say(values: Values, text: str) -> None:
    if not values.on("quiet") and is_terminal(STDERR):
        write_all(STDERR, f"{text}\n".encode())


class _Counted:
    """Pieces that pass by, and how many bytes they were."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.total = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.total += len(piece)
            yield piece


COMMAND = Command(
    _run,
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    exactly(2),
    (
        Flag("archive", BOOL, "Archive mode (copy all uid/gid information)", "a"),
        Flag("follow-link", BOOL, "Always follow symbol link in SRC_PATH", "L"),
        Flag(
            "quiet",
            BOOL,
            "Suppress progress output during copy. Progress output is automatically suppressed"
            " if no terminal is attached",
            "q",
        ),
    ),
    long=(
        "Copy files/folders between a container and the local filesystem\n\n"
        "Use '-' as the source to read a tar archive from stdin\n"
        "and extract it to a directory destination in a container.\n"
        "Use '-' as the destination to stream a tar archive of a\n"
        "container source to stdout."
    ),
)
