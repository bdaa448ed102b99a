"""The digests of a context's files, remembered from build to build, so that an unchanged file is not read again.

A file of lines in the order of the walk, read and written side by side with it: however many files there are, only one
line of it is in memory. What a walk passes over because it is not wanted is kept for the next one. A digest is believed
when size, inode, and the times of the last change of content and of inode are what they were, and that change was some
time before the digest was taken: a later one in the same instant would leave the times alone.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from cove.contexts.tarring import contents
from cove.contexts.walking import Entry

_VERSION = 1
_INSTANT = 2_000_000_000
"""Nanoseconds within which two changes may look like one: the coarsest clock of a file system that is in use."""


class Digests:
    """A context manager: what was found is kept when it ends well. ``path``: of the file; it need not be there.

    ``wants``: whether a path of the context would be in the walk.
    """

    def __init__(self, path: Path, wants: Callable[[str], bool] = lambda path: True) -> None:
        self._path = path
        self._wants = wants
        self._old: Iterator[list[Any]] = iter(())
        self._line: list[Any] | None = None
        self._trusted = 0
        self._new: IO[str] | None = None
        self._temporary = path.with_name(f"{path.name}.{os.getpid()}.new")

    def __enter__(self) -> "Digests":
        self._old = _lines(self._path)
        head = next(self._old, None)
        if head is not None and head[:1] == [_VERSION]:
            self._trusted = head[1] - _INSTANT
            self._line = next(self._old, None)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._new = self._temporary.open("w", encoding="latin-1")
        except OSError:  # nothing is remembered then
            return self
        self._write([_VERSION, time.time_ns()])
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        if self._new is None:
            return
        with contextlib.suppress(OSError):
            while self._line is not None:
                self._pass()
            self._new.close()
            if kind is None:
                self._temporary.rename(self._path)
        self._temporary.unlink(missing_ok=True)

    def of(self, entry: Entry) -> str:
        """The SHA-256 of a file's contents in hexadecimal. Entries come in the order of the walk."""
        status = entry.status
        facts = [latin(entry.path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        digest = self._known(facts) or _hashed(entry)
        self._write([*facts, digest])
        return digest

    def _known(self, facts: list[Any]) -> str:
        """What the last build found of the same file; nothing when it may have changed."""
        place = facts[0].split("/")
        while self._line is not None and self._line[0].split("/") < place:
            self._pass()
        if self._line is None or self._line[:5] != facts or max(facts[2], facts[3]) >= self._trusted:
            return ""
        return str(self._line[5])

    def _pass(self) -> None:
        """Go to the next line; keep one that is still believed and that this walk has no part in."""
        line = self._line
        assert line is not None
        if _is_whole(line) and max(line[2], line[3]) < self._trusted and not self._wants(_name(line[0])):
            self._write(line)
        self._line = next(self._old, None)

    def _write(self, line: list[Any]) -> None:
        if self._new is not None:
            self._new.write(json.dumps(line, separators=(",", ":")) + "\n")


def latin(text: str) -> str:
    """A name as text that JSON can have: each byte as the character of Latin-1."""
    return text if text.isascii() else os.fsencode(text).decode("latin-1")


def _name(latin: str) -> str:
    """The name that ``latin`` was made of."""
    return latin if latin.isascii() else os.fsdecode(latin.encode("latin-1"))


def _is_whole(line: list[Any]) -> bool:
    """Whether a line, which may have been written by anybody, is what ``Digests.of`` writes."""
    return len(line) == 6 and all(isinstance(fact, int) for fact in line[1:5])


def _hashed(entry: Entry) -> str:
    checksum = hashlib.sha256()
    for piece in contents(entry):
        checksum.update(piece)
    return checksum.hexdigest()


def _lines(path: Path) -> Iterator[list[Any]]:
    """The lines of a file up to the first that cannot be read."""
    with contextlib.suppress(OSError, ValueError), path.open(encoding="latin-1") as file:
        for line in file:
            found = json.loads(line)
            if not isinstance(found, list):
                return
            yield found
