"""Packages of Alpine Linux (apk, format 2): three gzip streams in one file, of a signature, a control, the data."""

import base64
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, cast

from cove.errors import InvalidArgument

_CONTROL_LIMIT = 8 << 20


class Streams(NamedTuple):
    """The compressed bytes of each stream. ``signature`` is empty in a file that has none."""

    signature: bytes
    control: bytes
    data: bytes


def split(content: bytes, name: str) -> Streams:
    """The streams of a package, or of an index, whose last one is empty. Raises InvalidArgument."""
    parts: list[bytes] = []
    rest = content
    while rest and len(parts) < 3:
        length = _stream_length(rest, name)
        parts.append(rest[:length])
        rest = rest[length:]
    if rest or not parts:
        raise InvalidArgument(f"{name} is no package of Alpine")
    if not _is_signature(parts[0]):
        parts.insert(0, b"")
    return Streams(*[*parts, b"", b""][:3])


def _stream_length(content: bytes, name: str) -> int:
    inflating = zlib.decompressobj(wbits=31)
    view, position = memoryview(content), 0
    try:
        while not inflating.eof:
            piece = view[position : position + (1 << 16)]
            if not piece:
                raise InvalidArgument(f"{name} is truncated")
            inflating.decompress(piece)
            position += len(piece)
    except zlib.error as error:
        raise InvalidArgument(f"{name} is damaged: {error}") from None
    return position - len(inflating.unused_data)


def _is_signature(stream: bytes) -> bool:
    try:
        return next(iter(entries(stream, "")))[0].name.startswith(".SIGN.")
    except (StopIteration, InvalidArgument):
        return False


def entries(stream: bytes, name: str) -> Iterator[tuple[tarfile.TarInfo, BinaryIO | None]]:
    """What is in a stream; its tar may lack the end, as that of a signature does. Raises InvalidArgument."""
    try:
        with tarfile.open(fileobj=io.BytesIO(stream), mode="r:gz") as tar:
            for info in tar:
                yield info, cast(BinaryIO, tar.extractfile(info)) if info.isreg() else None
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InvalidArgument(f"{name} is damaged: {error}") from None


def member(stream: bytes, wanted: str, name: str) -> bytes:
    """The content of one file of a small stream, b"" when it is not there."""
    for info, content in entries(stream, name):
        if content is not None and info.name == wanted:
            return content.read(_CONTROL_LIMIT)
    return b""


def check(streams: Streams, checksum: str, name: str) -> None:
    """Raises InvalidArgument when the package is not the one that the index says (``C:``), or its data another's."""
    found = "Q1" + base64.b64encode(hashlib.sha1(streams.control).digest()).decode()
    if found != checksum:
        raise InvalidArgument(f"checksum of {name} is wrong: expected {checksum}, got {found}")
    info = member(streams.control, ".PKGINFO", name).decode(errors="replace")
    fields = dict(line.split(" = ", 1) for line in info.splitlines() if " = " in line)
    if fields.get("datahash") != hashlib.sha256(streams.data).hexdigest():
        raise InvalidArgument(f"{name}: its data is not what its control says")
