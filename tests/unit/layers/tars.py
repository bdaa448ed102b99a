"""Tar archives for tests, made by the standard library, an entry a call."""

import io
import os
import tarfile
from collections.abc import Callable


class Tar:
    """``raw`` gives the archive so far, without an end mark; ``bytes`` the whole."""

    def __init__(self, format_: int = tarfile.PAX_FORMAT) -> None:
        self._out = io.BytesIO()
        self._format = format_

    def add(self, name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, **fields: object) -> "Tar":
        entry = tarfile.TarInfo(name)
        entry.type, entry.size, entry.mode = kind, len(data), 0o755 if kind == tarfile.DIRTYPE else 0o644
        entry.uid, entry.gid = os.geteuid(), os.getegid()
        for field, value in fields.items():
            setattr(entry, field, value)
        self._out.write(entry.tobuf(self._format, "utf-8", "surrogateescape"))
        self._out.write(data + bytes(-len(data) % 512))
        return self

    def directory(self, name: str, **fields: object) -> "Tar":
        return self.add(name, kind=tarfile.DIRTYPE, **fields)

    def symlink(self, name: str, target: str) -> "Tar":
        return self.add(name, kind=tarfile.SYMTYPE, linkname=target)

    def link(self, name: str, target: str) -> "Tar":
        return self.add(name, kind=tarfile.LNKTYPE, linkname=target)

    def raw(self) -> bytes:
        return self._out.getvalue()

    def bytes(self) -> bytes:
        return self.raw() + bytes(1024)


def built(build: Callable[[Tar], object]) -> bytes:
    tar = Tar()
    build(tar)
    return tar.bytes()
