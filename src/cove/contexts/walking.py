"""A directory of a context, entry by entry, without what is left out. Only names are read, and what stat(2) says."""

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from cove.dockerfile.ignore import Matcher
from cove.errors import InvalidArgument

_CAPABILITY = "security.capability"


@dataclass(slots=True)
class Entry:
    """A file, directory or link. ``path``: from the context's top, with slashes. ``status``: not of a link's target.

    ``target``: of a link. ``capability``: the file's capabilities, as the kernel keeps them, or nothing.
    """

    path: str
    place: str
    status: os.stat_result
    target: str = ""
    capability: bytes = b""

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a directory belongs to the context. ``kept``: files that are in it although they are left out.

    ``replaced``: files that are sent with other contents. ``needed``: the paths that are wanted, all when it is None.
    """

    ignored: Matcher
    kept: Collection[str] = ()
    replaced: Collection[str] = ()
    needed: Collection[str] | None = None

    def wants(self, path: str) -> bool:
        """Whether a path is wanted, or below what is, or on the way to it."""
        if path in self.replaced:
            return False
        if self.needed is None or path in self.kept:
            return True
        inside, below = path + "/", any(path == each or path.startswith(each + "/") for each in self.needed)
        return below or any(each.startswith(inside) for each in (*self.needed, *self.kept))


@dataclass(slots=True)
class _Directory:
    """A directory that is being gone through. ``entry`` is set until something in it makes it part of the context."""

    names: Iterator[str]
    path: str
    place: str
    matched: Sequence[bool]
    entry: Entry | None


def walk(root: str, selection: Selection) -> Iterator[Entry]:
    """The entries of a context in the order of names, a directory before what is in it. Raises InvalidArgument."""
    stack = [_Directory(iter(_names(root)), "", root, (), None)]
    while stack:
        above = stack[-1]
        name = next(above.names, None)
        if name is None:
            stack.pop()
            continue
        path = f"{above.path}/{name}" if above.path else name
        if not selection.wants(path):
            continue
        ignored, matched = selection.ignored.step(path, above.matched)
        ignored = ignored and path not in selection.kept
        entry = _entry(path, f"{above.place}/{name}")
        if entry is None or (ignored and not (entry.is_directory and _has_more(path, selection))):
            continue
        if not ignored:
            for directory in stack:
                if directory.entry is not None:
                    yield directory.entry
                    directory.entry = None
            _check(entry)
            yield entry
        if entry.is_directory:
            waiting = entry if ignored else None
            stack.append(_Directory(iter(_names(entry.place)), path, entry.place, matched, waiting))


def _has_more(directory: str, selection: Selection) -> bool:
    """Whether something in a directory that is left out may be part of the context all the same."""
    inside = directory + "/"
    return selection.ignored.may_bring_back(directory) or any(path.startswith(inside) for path in selection.kept)


def _names(place: str) -> list[str]:
    try:
        return sorted(os.listdir(place), key=os.fsencode)
    except OSError as error:
        raise InvalidArgument(f"error from sender: open {place}: {(error.strerror or '').lower()}") from error


def _entry(path: str, place: str) -> Entry | None:
    """What is at a place; nothing for a socket, and for what has gone meanwhile. Raises InvalidArgument."""
    try:
        status = os.lstat(place)
        if stat.S_ISLNK(status.st_mode):
            return Entry(path, place, status, target=os.readlink(place))
        if stat.S_ISREG(status.st_mode):
            return Entry(path, place, status, capability=_capability(place))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidArgument(f"error from sender: lstat {place}: {(error.strerror or '').lower()}") from error
    return None if stat.S_ISSOCK(status.st_mode) else Entry(path, place, status)


def _check(entry: Entry) -> None:
    """Raises InvalidArgument for what no context can have in it."""
    mode = entry.status.st_mode
    if not (entry.is_file or entry.is_directory or stat.S_ISLNK(mode)):
        kind = "named pipe" if stat.S_ISFIFO(mode) else "device"
        message = f"{entry.place} is a {kind}, which cannot be in a build context"
        raise InvalidArgument(f"{message}; leave it out with a .dockerignore file")


def _capability(place: str) -> bytes:
    try:
        return os.getxattr(place, _CAPABILITY, follow_symlinks=False)
    except OSError:  # there are none, which is the rule
        return b""
