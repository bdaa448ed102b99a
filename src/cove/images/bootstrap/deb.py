"""Debian packages: an ar archive with two tars in it, what the package is and what it installs (deb(5))."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cove.errors import InvalidArgument
from cove.images.bootstrap import deb822
from cove.images.bootstrap.compression import Content

_MAGIC = b"!<arch>\n"
_HEADER = 60
_MAX_CONTROL = 1 << 20


class Member(NamedTuple):
    """A file in the ar archive: where its content begins and how many bytes it has."""

    name: str
    offset: int
    size: int


class DataEntry(NamedTuple):
    """Something that a package installs. ``content``: of a regular file, to be read before the next entry."""

    info: tarfile.TarInfo
    content: BinaryIO | None


class Deb:
    """One .deb on disk. Raises InvalidArgument when it is damaged or no package."""

    def __init__(self, path: Path, name: str) -> None:
        """``name``: what errors call it."""
        self.path = path
        self.name = name
        with path.open("rb") as file:
            self._members = _read_members(file, name)
            version = self._members.get("debian-binary")
            file.seek(version.offset if version else 0)
            if not version or not file.read(min(version.size, 8)).startswith(b"2."):
                raise InvalidArgument(f"{name} is no Debian package of format 2")

    def control(self) -> deb822.Paragraph:
        """The fields of the package's control file."""
        return deb822.parse(self.control_file("control"), f"{self.name}: control")[0]

    def control_file(self, name: str) -> str:
        """The text of a control file, "" when it has none of this name. Raises InvalidArgument without ``control``."""
        for info, content in self._entries("control.tar"):
            if content and info.name.removeprefix("./") == name:
                return content.read(_MAX_CONTROL).decode(errors="replace")
        if name == "control":
            raise InvalidArgument(f"{self.name} has no control file")
        return ""

    def data(self) -> Iterator[DataEntry]:
        """What the package installs, in its order; read to the end, so that the whole stream is checked."""
        return self._entries("data.tar")

    def _entries(self, prefix: str) -> Iterator[DataEntry]:
        member = next((self._members[name] for name in self._members if name.startswith(prefix)), None)
        if not member:
            raise InvalidArgument(f"{self.name} has no {prefix}")
        with self._damage_named(), self.path.open("rb") as file:
            content = Content(_Window(file, member), f"{self.name}: {member.name}")
            with tarfile.open(fileobj=content, mode="r|") as tar:  # type: ignore[call-overload]
                for info in tar:
                    yield DataEntry(info, tar.extractfile(info) if info.isreg() else None)
            content.check_rest()

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        try:
            yield
        except tarfile.TarError as error:
            raise InvalidArgument(f"{self.name} is damaged: {error}") from error


class _Window:
    """One member, as a file."""

    def __init__(self, file: BinaryIO, member: Member) -> None:
        file.seek(member.offset)
        self._file = file
        self._left = member.size

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        content = self._file.read(wanted)
        self._left -= len(content)
        if len(content) < wanted:
            raise EOFError("it ends too early")
        return content


def _read_members(file: BinaryIO, name: str) -> dict[str, Member]:
    """The archive's members by name (ar(5): headers of 60 bytes, contents padded to even length)."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise InvalidArgument(f"{name} is no Debian package")
    end = file.seek(0, 2)
    offset = len(_MAGIC)
    members: dict[str, Member] = {}
    while offset < end:
        file.seek(offset)
        header = file.read(_HEADER)
        size = header[48:58].strip()
        if len(header) < _HEADER or header[58:60] != b"`\n" or not size.isdigit():
            raise InvalidArgument(f"{name} is damaged: bad ar header at byte {offset}")
        member = Member(header[:16].decode("ascii", "replace").strip().rstrip("/"), offset + _HEADER, int(size))
        if member.offset + member.size > end:
            raise InvalidArgument(f"{name} is truncated: {member.name} has {member.size} bytes")
        if member.name in members:
            raise InvalidArgument(f"{name} has {member.name} twice")
        members[member.name] = member
        offset = member.offset + member.size + member.size % 2
    return members
