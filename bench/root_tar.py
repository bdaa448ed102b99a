"""A tar that is like a distribution's root: many small files and some large ones, from this machine's own /usr."""

import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

CACHE = Path("/tmp/cove-bench-root.tar")
SIZE = 250 << 20
FULL = 4096
"""Bytes left of a place's share at which it counts as full."""

LARGEST_FILE = 24 << 20
PLACES = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share")


def root_tar() -> Path:
    """The tar's path; made at the first call on a machine, with the same content at every call."""
    if not CACHE.exists():
        part = CACHE.with_suffix(".part")
        with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
            _fill(tar)
        part.rename(CACHE)
    return CACHE


def _fill(tar: tarfile.TarFile) -> None:
    left = dict.fromkeys(PLACES, SIZE // len(PLACES))
    spare = 0
    for place in PLACES:
        left[place] += spare
        for path in _walk(place):
            if left[place] < FULL:
                break
            details = os.lstat(path)
            size = details.st_size if stat.S_ISREG(details.st_mode) else 0
            if size <= min(left[place], LARGEST_FILE):
                tar.add(path, arcname=path.lstrip("/"), recursive=False, filter=_plain)
                left[place] -= size
        spare = left[place]


def _walk(place: str) -> Iterator[str]:
    """Directories, files and symbolic links below ``place``, in the order of their names."""
    yield place
    for parent, directories, files in os.walk(place):
        directories.sort()
        yield from (os.path.join(parent, name) for name in sorted([*directories, *files]))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if not (entry.isreg() or entry.isdir() or entry.issym()):
        return None
    entry.mtime = 1_700_000_000
    return entry
