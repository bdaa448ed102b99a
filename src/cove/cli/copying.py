"""The archives of ``cp``: packing local files, and unpacking a container's without leaving the destination.

A container's owner chooses what is in its archive, so nothing in it may name a place outside the destination, nor
reach one through a symbolic link that the same archive made.
"""

from __future__ import annotations

import base64
import io
import json
import os
import stat as modes
import tarfile

from cove.cli.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO

# Go's file mode bits, as the API's path stat has them.
_GO_DIRECTORY = 1 << 31
_GO_SYMLINK = 1 << 27
PIECE = 1024 * 1024
MAX_LINKS = 10


class Stat:
    """What a container has at a path."""

    __slots__ = ("link_target", "mode", "name")

    def __init__(self, name: str, mode: int, link_target: str) -> None:
        self.name = name
        self.mode = mode
        self.link_target = link_target

    @property
    def is_directory(self) -> bool:
        return bool(self.mode & _GO_DIRECTORY)

    @property
    def is_link(self) -> bool:
        return bool(self.mode & _GO_SYMLINK)


class Source:
    """What is copied: its name, and whether only the ``contents`` of the directory are meant."""

    __slots__ = ("contents", "is_directory", "name")

    def __init__(self, name: str, is_directory: bool, contents: bool) -> None:
        self.name = name
        self.is_directory = is_directory
        self.contents = contents


def parse_stat(header: str) -> Stat:
    """From the ``X-Docker-Container-Path-Stat`` header."""
    facts = json.loads(base64.b64decode(header))
    return Stat(facts["name"], facts["mode"], facts.get("linkTarget", ""))


def split_copy(argument: str) -> tuple[str, str]:
    """``name:path`` → its two parts; a local path has no name. ``./a:b`` and ``/a:b`` are local."""
    if argument.startswith(("/", ".")) or argument == "-":
        return "", argument
    name, colon, path = argument.partition(":")
    return (name, path) if colon and name else ("", argument)


def check_output(target: str) -> None:
    """Raises Failure, in Docker's words, for a path that nothing can be copied to."""
    parent = os.path.dirname(os.path.normpath(target))
    if parent and not os.path.exists(parent):
        raise Failure(f'invalid output path: directory "{parent}" does not exist')
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise Failure(f"stat {target}: {(error.strerror or '').lower()}") from error
    if not (modes.S_ISDIR(mode) or modes.S_ISREG(mode)):
        raise Failure(f'invalid output path: "{target}" must be a directory or a regular file')


def local_destination(target: str, source: Source) -> tuple[str, str]:
    """The local directory to unpack in, and the name that the archive's root gets there ("" for none).

    A link leads to where it leads, also when nothing is there yet. Raises Failure when what is there cannot take what
    comes.
    """
    for _ in range(MAX_LINKS):
        if not os.path.islink(target):
            break
        target = os.path.join(os.path.dirname(target), os.readlink(target))
    if os.path.isdir(target):
        return target, "" if source.contents and source.is_directory else source.name
    if os.path.lexists(target) and source.is_directory:
        raise Failure("cannot copy directory")
    if not os.path.lexists(target) and target.endswith("/") and not source.is_directory:
        raise Failure("no such directory")
    stripped = os.path.abspath(target)
    return os.path.dirname(stripped), os.path.basename(stripped)


def remote_destination(path: str, target: Stat | None, source: Source) -> tuple[str, str]:
    """The directory to unpack in, and the name there ("" for the contents of a directory).

    Raises Failure when what is there cannot take what comes.
    """
    if target is not None and target.is_directory:
        return path, "" if source.contents else source.name
    if target is not None and source.is_directory:
        raise Failure("cannot copy directory")
    if target is None and path.endswith("/") and not source.is_directory:
        raise Failure("no such directory")
    stripped = path.rstrip("/")
    return os.path.dirname(stripped) or "/", os.path.basename(stripped)


class _Pieces:
    """An iterable of bytes as a file that is read as it comes, a piece at a time."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def read(self, size: int = -1) -> bytes:
        """The next piece, whatever its size: empty at the end."""
        return next((piece for piece in self._pieces if piece), b"")


def open_archive(pieces: Iterable[bytes]) -> tarfile.TarFile:
    """An archive that is read as it comes."""
    source: IO[bytes] = _Pieces(pieces)  # type: ignore[assignment]
    return tarfile.open(fileobj=source, mode="r|", bufsize=PIECE)


def extract(pieces: Iterable[bytes], directory: str, name: str, *, keep_owner: bool) -> None:
    """Unpack an archive into ``directory``, its root renamed to ``name``. Raises Failure for one that would escape."""
    links: set[str] = set()
    folders: list[tuple[str, tarfile.TarInfo]] = []
    with open_archive(pieces) as archive:
        for member in archive:
            place = _place(member.name, directory, name)
            _refuse_through_links(place, directory, links)
            if member.islnk():
                member.linkname = os.path.relpath(_place(member.linkname, directory, name), directory)
            _unpack(archive, member, place, directory, links)
            if member.isdir():
                folders.append((place, member))
            _own(place, member, keep_owner)
            archive.members = []  # type: ignore[attr-defined]  # it would keep them all
    for place, member in reversed(folders):
        os.chmod(place, member.mode & 0o7777)
        os.utime(place, (member.mtime, member.mtime))


def _place(inside: str, directory: str, name: str) -> str:
    """Where a member goes. The first part of its name is the archive's root, which may be ``.`` or ``/``."""
    top, _, rest = inside.partition("/")
    parts = [part for part in rest.split("/") if part not in ("", ".")]
    if ".." in (top, *parts):
        raise Failure(f"refusing an archive entry outside of the destination: {inside}")
    return os.path.join(directory, *([name] if name else []), *parts)


def _refuse_through_links(place: str, directory: str, links: set[str]) -> None:
    parent = os.path.dirname(place)
    while len(parent) > len(directory):
        if parent in links:
            raise Failure(f"refusing an archive entry beneath a symbolic link of the same archive: {place}")
        parent = os.path.dirname(parent)


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, place: str, directory: str, links: set[str]) -> None:
    if member.isdir():
        os.makedirs(place, exist_ok=True)
        return
    if os.path.lexists(place):
        if os.path.isdir(place) and not os.path.islink(place):
            raise Failure(f"cannot overwrite directory {place} with a file")
        os.unlink(place)
        links.discard(place)
    if member.issym():
        os.symlink(member.linkname, place)
        links.add(place)
    elif member.islnk():
        os.link(os.path.join(directory, member.linkname), place, follow_symlinks=False)
    elif member.isreg():
        _write(archive, member, place)
    elif member.isfifo():
        os.mkfifo(place)
    else:
        os.mknod(
            place,
            member.mode | (modes.S_IFCHR if member.ischr() else modes.S_IFBLK),
            os.makedev(member.devmajor, member.devminor),
        )


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, place: str) -> None:
    """What is in the archive follows in order, the runs of a sparse file one after the other."""
    runs: list[tuple[int, int]] | None = member.sparse  # type: ignore[assignment]  # typed as what it is in a header
    source: IO[bytes] = archive.fileobj  # type: ignore[assignment]
    source.seek(member.offset_data)
    fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        for offset, length in runs or ((0, member.size),):
            file.seek(offset)
            _write_run(source, file, length)
        if runs is not None:
            file.truncate(member.size)
        os.fchmod(fd, member.mode & 0o7777)
    os.utime(place, (member.mtime, member.mtime))


def _write_run(source: IO[bytes], file: IO[bytes], left: int) -> None:
    while left:
        piece = source.read(min(left, PIECE))
        if not piece:
            raise Failure("the archive ends in the middle of a file")
        file.write(piece)
        left -= len(piece)


def _own(place: str, member: tarfile.TarInfo, keep_owner: bool) -> None:
    if keep_owner and os.geteuid() == 0 and not member.islnk():
        os.chown(place, member.uid, member.gid, follow_symlinks=False)


def pack(source: str, name: str, *, follow: bool) -> Iterator[bytes]:
    """A local file or directory as an archive whose root is ``name`` ("" for a directory's contents).

    The pieces are no larger than ``PIECE``, however large a file is.
    """
    real = os.path.realpath(source) if follow or source.endswith("/") else os.path.abspath(source)
    linked: dict[tuple[int, int], str] = {}
    for path, inside in _walk(real, name):
        with tarfile.open(fileobj=io.BytesIO(), mode="w") as form:  # which would remember every file
            member = form.gettarinfo(path, inside)
        if member is None:
            continue
        _link(member, os.lstat(path), linked)
        member.mtime = int(member.mtime)  # a fraction would take an extended header, which Docker does not write
        yield member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if member.isreg():
            yield from _data(path, member.size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _link(member: tarfile.TarInfo, found: os.stat_result, linked: dict[tuple[int, int], str]) -> None:
    """A further name of a file is a hard link to the first one."""
    if not member.isreg() or found.st_nlink == 1:
        return
    first = linked.setdefault((found.st_dev, found.st_ino), member.name)
    if first != member.name:
        member.type, member.linkname, member.size = tarfile.LNKTYPE, first, 0


def _data(path: str, size: int) -> Iterator[bytes]:
    """So many bytes of a file, as it was when its size was taken, and zeros to the end of a block."""
    left = size
    with open(path, "rb", buffering=0) as file:
        while left:
            piece = file.read(min(left, PIECE)) or bytes(min(left, PIECE))
            left -= len(piece)
            yield piece
    if size % tarfile.BLOCKSIZE:
        yield bytes(tarfile.BLOCKSIZE - size % tarfile.BLOCKSIZE)


def _walk(real: str, name: str) -> Iterator[tuple[str, str]]:
    yield real, name or "."
    if os.path.islink(real) or not os.path.isdir(real):
        return
    for folder, directories, files in os.walk(real):
        relative = os.path.relpath(folder, real)
        base = os.path.normpath(os.path.join(name or ".", relative))
        for entry in sorted([*directories, *files]):
            yield os.path.join(folder, entry), os.path.join(base, entry)
