"""An archive of images to one file per member, named by number, so that no name of a stranger is used on disk."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from cove.errors import InvalidArgument
from cove.layers.tar.header import Header
from cove.layers.tar.reader import Limits, Reader, shown
from cove.layers.tar.stream import ByteStream
from cove.layers.tree import split
from cove.layers.worker.jobs import Member


def spool(pieces: Iterator[bytes], directory: Path, limits: Limits) -> list[Member]:
    """Write each regular file of the tar to ``directory``; the members, the later one where a
    name comes twice. Raises InvalidArgument, OSError.
    """
    members: dict[str, Member] = {}
    reader = Reader(ByteStream(pieces), limits)
    for count, entry in enumerate(reader):
        if entry.kind == b"5":
            continue
        try:
            name = _joined(entry.name)
            members[name] = _member(name, entry, reader, directory / str(count))
        except InvalidArgument as error:
            raise InvalidArgument(f"{shown(entry.name)}: {error.message}") from error
    return list(members.values())


def _joined(path: bytes) -> str:
    try:
        return b"/".join(split(path)).decode()
    except UnicodeDecodeError:
        raise InvalidArgument("name is not UTF-8") from None


def _member(name: str, entry: Header, reader: Reader, path: Path) -> Member:
    if entry.kind in (b"1", b"2"):
        base = b"" if entry.kind == b"1" or entry.link.startswith(b"/") else os.path.dirname(entry.name) + b"/"
        return Member(name, link=_joined(base + entry.link))
    if entry.kind != b"0" or entry.data_runs is not None:
        raise InvalidArgument("not a plain file")
    algorithm = "sha512" if name.startswith("blobs/sha512/") else "sha256"
    checksum = hashlib.new(algorithm)
    with path.open("xb", buffering=0) as file:
        for piece in reader.data():
            checksum.update(piece)
            file.write(piece)
    return Member(name, str(path), entry.size, f"{algorithm}:{checksum.hexdigest()}")
