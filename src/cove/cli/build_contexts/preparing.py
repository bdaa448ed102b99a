"""What the user named as a build's context, made ready to be sent."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from cove.cli.failure import Failure
from cove.cli.files import read_pieces
from cove.cli.terminal import STDIN
from cove.contexts import Selection, tar_pieces, walk
from cove.dockerfile.git import is_git
from cove.dockerfile.ignore import FILE_NAME, Matcher, parse_ignore_file
from cove.dockerfile.source import SIZE_LIMIT
from cove.errors import InvalidArgument

DEFAULT = "Dockerfile"
_PEEK = 512
_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
"""How gzip, bzip2, xz and zstd begin."""

_USTAR = slice(257, 262)


@dataclass(slots=True)
class Directory:
    """A directory to send. ``dockerfile``: its name in the context; ``text``: its bytes, where they are known.

    ``extra``: files that are sent with it though they lie elsewhere.
    """

    root: str
    dockerfile: str
    selection: Selection
    text: bytes | None = None
    extra: tuple[tuple[str, bytes], ...] = ()

    def pieces(self) -> Iterator[bytes]:
        """The whole of it as a tar. Raises Failure."""
        try:
            yield from tar_pieces(walk(self.root, self.selection), self.extra)
        except InvalidArgument as error:
            raise Failure(error.message) from error


@dataclass(slots=True)
class Stream:
    """A tar, compressed or not, that comes from elsewhere."""

    dockerfile: str
    body: Iterable[bytes]
    text: bytes | None = None


@dataclass(slots=True)
class Remote:
    """What the daemon fetches itself. ``text``: of a Dockerfile that came on stdin."""

    url: str
    dockerfile: str
    text: bytes | None = None


Prepared = Directory | Stream | Remote


def prepare(positional: str, dockerfile: str = "", stdin: Iterable[bytes] | None = None) -> Prepared:
    """Make ready what ``cove build -f dockerfile positional`` names. Raises Failure in Docker's words.

    ``stdin`` is what is on it; by default it is read.
    """
    if positional == "-" and dockerfile == "-":
        raise Failure("invalid argument: can't use stdin for both build context and dockerfile")
    if positional == "-":
        return _from_stdin(dockerfile, read_pieces(STDIN) if stdin is None else stdin)
    text = _bounded(read_pieces(STDIN) if stdin is None else stdin) if dockerfile == "-" else None
    if is_git(positional) or positional.startswith(("http://", "https://", "github.com/")):
        return Remote(positional, dockerfile, text)
    return from_directory(positional, dockerfile, text)


def files_alone(place: str) -> Directory:
    """A local directory that has no Dockerfile: a named context. Raises Failure in Docker's words."""
    root = _root(place)
    return Directory(root, "", Selection(_ignored(root, None)))


def from_directory(place: str, dockerfile: str, text: bytes | None = None) -> Directory:
    """A local directory. ``text``: of a Dockerfile that came on stdin. Raises Failure in Docker's words."""
    root = _root(place)
    if text is not None:
        return _with_text(root, text, _ignored(root, None))
    path = _dockerfile(root, dockerfile)
    ignored = _ignored(root, path)
    inside = os.path.relpath(os.path.realpath(os.path.dirname(path)) + "/" + os.path.basename(path), root)
    content = _read(path)
    if inside == ".." or inside.startswith("../"):
        return _with_text(root, content, ignored)
    return Directory(root, inside, Selection(ignored, (inside, FILE_NAME)), content)


def _root(place: str) -> str:
    """The real path of a directory. Raises Failure."""
    if not place:
        raise Failure("unable to prepare context: the Dockerfile's directory has no name")
    root = os.path.realpath(place)
    if not os.path.lexists(place):
        raise Failure(f'unable to prepare context: path "{place}" not found')
    if not os.path.isdir(root):
        raise Failure(f"unable to prepare context: context must be a directory: {place}")
    return root


def _with_text(root: str, text: bytes, ignored: Matcher) -> Directory:
    """A directory with a Dockerfile that is not in it, under a name that the ignore file which is sent hides."""
    name = f".dockerfile.{secrets.token_hex(10)}"
    patterns = _bytes(os.path.join(root, FILE_NAME))
    patterns = (FILE_NAME.encode() if patterns is None else patterns) + f"\n{name}\n".encode()
    extra = ((name, text), (FILE_NAME, patterns))
    return Directory(root, name, Selection(ignored, replaced=(FILE_NAME,)), text, extra)


def _dockerfile(root: str, given: str) -> str:
    """Where the Dockerfile is: as it is named from here, or in the context."""
    if given:
        return given if os.path.isabs(given) or os.path.lexists(given) else os.path.join(root, given)
    path = os.path.join(root, DEFAULT)
    lower = os.path.join(root, DEFAULT.lower())
    return lower if not os.path.lexists(path) and os.path.lexists(lower) else path


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise Failure(
            f"unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat {path}: {reason}"
        ) from error
    if len(content) > SIZE_LIMIT:
        raise Failure(f"unable to prepare context: {path} has more than {SIZE_LIMIT} bytes")
    return content


def _ignored(root: str, dockerfile: str | None) -> Matcher:
    """The patterns of the Dockerfile's own ignore file, or of the context's. Raises Failure."""
    own = [f"{dockerfile}{FILE_NAME}"] if dockerfile else []
    for path in [*own, os.path.join(root, FILE_NAME)]:
        content = _bytes(path)
        if content is None:
            continue
        try:
            return Matcher(parse_ignore_file(content))
        except InvalidArgument as error:
            raise Failure(f"unable to prepare context: error checking context: {path}: {error.message}") from error
    return Matcher(())


def _bytes(path: str) -> bytes | None:
    """What is in a file, or None when there is none. Raises Failure."""
    try:
        with open(path, "rb") as file:
            return file.read(SIZE_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Failure(f"unable to prepare context: open {path}: {(error.strerror or '').lower()}") from error


def _from_stdin(dockerfile: str, pieces: Iterable[bytes]) -> Stream:
    rest = iter(pieces)
    begin = b""
    while len(begin) < _PEEK and (piece := next(rest, b"")):
        begin += piece
    if not begin:
        raise Failure("unable to prepare context: unable to detect context type from STDIN: EOF")
    if begin.startswith(_MAGIC) or begin[_USTAR] == b"ustar" or _is_old_tar(begin):
        return Stream(dockerfile or DEFAULT, chain([begin], rest))
    if dockerfile:
        raise Failure("ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles")
    text = _bounded(chain([begin], rest))
    return Stream(DEFAULT, tar_pieces((), ((DEFAULT, text),)), text)


def _is_old_tar(block: bytes) -> bool:
    """Whether a block is the header of a tar without a magic number: its checksum says so."""
    if len(block) < _PEEK or not block[148:156].strip(b" \0").isdigit():
        return False
    try:
        wanted = int(block[148:156].strip(b" \0"), 8)
    except ValueError:
        return False
    return sum(block[:148]) + 8 * 0x20 + sum(block[156:_PEEK]) == wanted


def _bounded(pieces: Iterable[bytes]) -> bytes:
    content = b""
    for piece in pieces:
        content += piece
        if len(content) > SIZE_LIMIT:
            raise Failure(f"unable to prepare context: the Dockerfile on stdin has more than {SIZE_LIMIT} bytes")
    return content
