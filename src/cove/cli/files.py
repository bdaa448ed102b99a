"""Files that a command reads into a request or writes from an answer."""

from __future__ import annotations

import os

from cove.cli.attachment import write_all
from cove.cli.failure import Failure
from cove.cli.terminal import STDIN, STDOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cove.client.http import Response

PIECE = 1024 * 1024


def save_to(path: str, purpose: str, ask: Callable[[], Response]) -> None:
    """Write an answer's body to ``path``, or to stdout when it is empty; the file appears whole or not at all."""
    if not path:
        for piece in ask().pieces():
            write_all(STDOUT, piece)
        return
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        raise Failure(f"failed to {purpose}: invalid output path: stat {directory}: no such file or directory")
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb", buffering=0) as device:
            for piece in ask().pieces():
                write_all(device.fileno(), piece)
        return
    _replace(path, ask())


def _replace(path: str, response: Response) -> None:
    temporary = os.path.join(os.path.dirname(path) or ".", f".{os.path.basename(path)}.{os.getpid()}.part")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for piece in response.pieces():
            write_all(fd, piece)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)


def read_pieces(fd: int = STDIN) -> Iterator[bytes]:
    """What can be read from a descriptor, to its end."""
    while piece := os.read(fd, PIECE):
        yield piece


def open_input(path: str) -> int:
    """A descriptor to read ``path`` from. Raises Failure in Docker's words."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Failure(f"open {path}: {(error.strerror or '').lower()}") from error
