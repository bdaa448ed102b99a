"""``cove cp``"""

from __future__ import annotations

from cove.cli.archives import Archive, Options, copy_between, copy_in, copy_out
from cove.cli.command import Command, exactly
from cove.cli.copying import split_copy
from cove.cli.failure import Failure
from cove.flags import BOOL, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    source, source_path = split_copy(arguments[0])
    target, target_path = split_copy(arguments[1])
    if not arguments[0] or not arguments[1]:
        raise Failure("source can not be empty" if not arguments[0] else "destination can not be empty")
    options = Options(archive=values.on("archive"), follow=values.on("follow-link"), quiet=values.on("quiet"))
    if source and target:
        copy_between(_archive(session, source), source_path, _archive(session, target), target_path, options)
    elif source:
        copy_out(_archive(session, source), source_path, target_path, options)
    elif target:
        copy_in(source_path, _archive(session, target), target_path, options)
    else:
        raise Failure("must specify at least one container source")
    return 0


def _archive(session: Session, container: str) -> Archive:
    return Archive(session, "container", container, f"/containers/{container}", f"/containers/{container}/json")


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
