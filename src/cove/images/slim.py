"""Which paths of a root are needed by what was seen to be read, and how to keep those alone.

What a path leads through is needed with it: the directories above, and the links on the way.
"""

import posixpath
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cove.errors import NotFound
from cove.images.bootstrap.tree import MAX_NODES

ALWAYS = (
    "etc/group",
    "etc/ld.so.cache",
    "etc/nsswitch.conf",
    "etc/os-release",
    "etc/passwd",
    "usr/lib/os-release",
    "var/lib/dpkg/status",
    "var/lib/dpkg/status.d",
    "lib/apk/db/installed",
)
"""What programs look for now and then, and what scanners read: small, and missed late."""

PLACES = ("dev", "proc", "run", "sys", "tmp", "var/tmp")
"""Directories that are mounted over or written to."""

MAX_HOPS = 40
"""Symbolic links that are followed in one path, as in the kernel (MAXSYMLINKS)."""

_LISTS = ("var/lib/dpkg/info/{}.list", "var/lib/dpkg/info/{}:*.list", "var/lib/dpkg/status.d/{}.md5sums")


class Entry(NamedTuple):
    """``kind``: of tarfile. ``target``: of a link; a hard link's is a path of the root. ``size`` in bytes."""

    kind: bytes
    target: str
    size: int


class Saving(NamedTuple):
    """Files and bytes before and after."""

    files: int
    size: int
    kept_files: int
    kept_size: int


def entries(tar: Path) -> dict[str, Entry]:
    """All that a tar of a root has, by path."""
    found: dict[str, Entry] = {}
    with tarfile.open(tar, "r:") as opened:
        for info in opened:
            if len(found) >= MAX_NODES:
                raise NotFound(f"the image has more than {MAX_NODES} files")
            target = info.linkname.strip("/").removeprefix("./") if info.islnk() else info.linkname
            found[clean(info.name)] = Entry(info.type, target, info.size)
    found.pop("", None)
    return found


def clean(path: str) -> str:
    """A path of a root without a slash at either end."""
    return "" if (short := posixpath.normpath("/" + path).strip("/")) == "." else short


def needed(root: Mapping[str, Entry], read: Iterable[str], named: Iterable[str]) -> set[str]:
    """The paths to keep. ``read``: what was opened. ``named``: paths that are kept with all below them.

    Raises NotFound for a named path that is not there.
    """
    kept: set[str] = set()
    below = _Below(root)
    for path in (*read, *(path for path in (*ALWAYS, *PLACES) if path in root)):
        _keep(root, path, kept)
    for path in (path for path in ALWAYS if path in root):
        for inner in below(path):
            _keep(root, inner, kept)
    for path in named:
        place = resolve(root, clean(path))
        if place and place not in root:
            raise NotFound(f"the image has no {path}")
        _keep(root, clean(path), kept)
        for inner in below(place):
            _keep(root, inner, kept)
    return kept


def resolve(root: Mapping[str, Entry], path: str) -> str:
    """Where a path leads in the root, links followed, never above it; as far as there is something."""
    return _walk(root, path, set())


def saving(root: Mapping[str, Entry], kept: set[str]) -> Saving:
    """What was there, and what of it stays."""
    files = {path: entry.size for path, entry in root.items() if entry.kind != tarfile.DIRTYPE}
    stay = {path: size for path, size in files.items() if path in kept}
    return Saving(len(files), sum(files.values()), len(stay), sum(stay.values()))


def package_lists(root: Iterable[str], name: str) -> list[str]:
    """Where a package's files may be listed, by dpkg."""
    plain, of_architecture, distroless = (pattern.format(name) for pattern in _LISTS)
    prefix = of_architecture.removesuffix("*.list")
    return [
        path
        for path in sorted(root)
        if path in (plain, distroless) or (path.startswith(prefix) and path.endswith(".list"))
    ]


def listed(content: str) -> Iterator[str]:
    """The paths in such a list: one a line, or after a checksum."""
    for line in content.splitlines():
        path = line.strip() if line.startswith("/") else line.partition("  ")[2].strip()
        if path and path != "/.":
            yield path


def _keep(root: Mapping[str, Entry], path: str, kept: set[str]) -> None:
    place = _walk(root, path, kept)
    entry = root.get(place)
    if entry is None:
        return
    kept.add(place)
    if entry.kind == tarfile.LNKTYPE:
        _keep(root, entry.target, kept)


def _walk(root: Mapping[str, Entry], path: str, passed: set[str]) -> str:
    """The place that a path leads to; ``passed`` takes the directories and links on the way."""
    done: list[str] = []
    left = path.split("/")[::-1]
    hops = 0
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            del done[-1:]
            continue
        here = "/".join([*done, name])
        entry = root.get(here)
        if entry is not None and entry.kind == tarfile.SYMTYPE and hops < MAX_HOPS:
            hops += 1
            passed.add(here)
            done = [] if entry.target.startswith("/") else done
            left += entry.target.split("/")[::-1]
            continue
        if left and entry is not None:
            passed.add(here)
        done.append(name)
    return "/".join(done)


class _Below:
    """What is below a directory, of sorted paths."""

    def __init__(self, root: Mapping[str, Entry]) -> None:
        self._paths = sorted(root)

    def __call__(self, directory: str) -> list[str]:
        return [path for path in self._paths if not directory or path.startswith(f"{directory}/")]
