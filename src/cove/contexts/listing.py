"""A context as a list of its files with their digests, and the contents of some of them."""

import itertools
import json
from collections.abc import Collection, Iterable, Iterator

from cove.contexts.digests import Digests, latin
from cove.contexts.tarring import contents
from cove.contexts.walking import Entry

_PACKED = 1 << 16


def listed(entries: Iterable[Entry], digests: Digests) -> Iterator[bytes]:
    """A line for each entry: path, mode, seconds, size, digest or target, capabilities. Raises InvalidArgument."""
    packed = bytearray()
    for entry in entries:
        status = entry.status
        value = digests.of(entry) if entry.is_file else latin(entry.target)
        size = status.st_size if entry.is_file else 0
        line = [latin(entry.path), status.st_mode, status.st_mtime_ns // 1_000_000_000, size, value]
        line += [entry.capability.hex()] if entry.capability else []
        packed += json.dumps(line, separators=(",", ":")).encode() + b"\n"
        if len(packed) >= _PACKED:
            yield bytes(packed)
            packed.clear()
    yield bytes(packed)


def selected(entries: Iterable[Entry], wanted: Collection[int]) -> Iterator[bytes]:
    """The contents of the files of these numbers, counted from 0, one after the other. Raises InvalidArgument."""
    packed = bytearray()
    for number, entry in enumerate(each for each in entries if each.is_file):
        if number in wanted:
            for piece in contents(entry):
                packed += piece
                if len(packed) >= _PACKED:
                    yield bytes(packed)
                    packed.clear()
    yield bytes(packed)


def is_small(entries: Iterator[Entry], files: int, size: int) -> tuple[bool, Iterator[Entry]]:
    """Whether there are at most so many entries with at most so many bytes, and the same entries again."""
    seen: list[Entry] = []
    total = 0
    for entry in entries:
        seen.append(entry)
        total += entry.status.st_size if entry.is_file else 0
        if len(seen) > files or total > size:
            return False, itertools.chain(seen, entries)
    return True, iter(seen)
