"""``docker cp``: a path of a container to a tar, and a tar to a directory of a container."""

import errno
import itertools
import os
import posixpath
import stat
from collections.abc import Iterator

from cove.errors import Forbidden, InvalidArgument, NotFound
from cove.kernel import paths
from cove.layers.pack import pack
from cove.layers.tar.header import Header
from cove.layers.tar.reader import Reader, shown
from cove.layers.tar.stream import ByteStream
from cove.layers.tar.writer import Writer
from cove.layers.tree import split
from cove.layers.unpack import Unpacker
from cove.layers.view import mount_of
from cove.layers.worker.jobs import BrowseDone, CopyIn, Found, LookDone

MAX_LINKS = 40
MOST_SHOWN = 100_000
"""Entries of a directory that is looked into."""

_ACCOUNTS = 1 << 20
"""The most bytes of a container's passwd or group that are read."""


def look(root: int, path: str) -> LookDone:
    """What there is at a path. Raises NotFound, InvalidArgument where a part of it is no directory."""
    place = open_path(root, path)
    try:
        found = os.fstat(place)
        target = resolved(root, path) if stat.S_ISLNK(found.st_mode) else ""
    finally:
        os.close(place)
    size = len(os.fsencode(_link(root, path))) if stat.S_ISLNK(found.st_mode) else found.st_size
    return LookDone(base(path), size, found.st_mode, found.st_mtime_ns, target)


def browse(root: int, path: str) -> BrowseDone:
    """A directory's entries by name, or the one thing at the path. Raises NotFound, InvalidArgument for too many."""
    place = open_path(root, path)
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            return BrowseDone([_found(base(path), os.fstat(place), place)])
        directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place)
    finally:
        os.close(place)
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in itertools.islice(entries, MOST_SHOWN + 1)]
        if len(names) > MOST_SHOWN:
            raise InvalidArgument(f"{path}: more than {MOST_SHOWN} entries: copy it out to see them")
        return BrowseDone([found for name in sorted(names) if (found := _entry(directory, name)) is not None])
    finally:
        os.close(directory)


def _entry(directory: int, name: str) -> Found | None:
    try:
        place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        return _found(name, os.fstat(place), place)
    finally:
        os.close(place)


def _found(name: str, found: os.stat_result, place: int) -> Found:
    target = os.readlink("", dir_fd=place) if stat.S_ISLNK(found.st_mode) else ""
    shown = [text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for text in (name, target)]
    return Found(shown[0], found.st_size, found.st_mode, found.st_mtime_ns, found.st_uid, found.st_gid, target=shown[1])


def copy_out(root: int, path: str, name: str, writer: Writer) -> None:
    """Write the tar of a path. ``name``: of the tar's root, or "" for the path's own. Raises NotFound, OSError."""
    pack(open_path(root, path), os.fsencode(name or base(path)), writer)


def open_path(root: int, path: str) -> int:
    """A descriptor (O_PATH); a link at the end of the path is followed when a slash or ``/.`` comes after it."""
    follow = path.endswith(("/", "/."))
    try:
        return paths.open_in_root(root, path, os.O_PATH | (0 if follow else os.O_NOFOLLOW))
    except FileNotFoundError:
        raise NotFound(path) from None
    except NotADirectoryError:
        raise InvalidArgument(f"{path}: not a directory") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InvalidArgument(f"{path}: too many links") from None
        raise


def base(path: str) -> str:
    """The last component, as Go's ``path.Base`` has it."""
    return posixpath.basename(path.rstrip("/")) or "/"


def resolved(root: int, path: str) -> str:
    """Where a path leads inside the root, every link followed; what does not exist stays as it is named.

    Raises InvalidArgument for links that lead in circles.
    """
    done: list[str] = []
    todo = path.split("/")[::-1]
    links = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del done[-1:]
            continue
        target = _link(root, "/".join(["", *done, part]))
        if not target:
            done.append(part)
            continue
        links += 1
        if links > MAX_LINKS:
            raise InvalidArgument(f"{path}: too many links")
        if target.startswith("/"):
            done.clear()
        todo += target.split("/")[::-1]
    return "/" + "/".join(done)


def _link(root: int, path: str) -> str:
    """The target of a link, or an empty text when there is none."""
    try:
        place = paths.open_in_root(root, path, os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return ""
    try:
        return os.readlink("", dir_fd=place)
    except OSError:
        return ""
    finally:
        os.close(place)


def copy_in(root: int, job: CopyIn, stream: ByteStream) -> None:
    """Unpack a tar in a directory. Raises NotFound, Forbidden, and InvalidArgument naming the entry."""
    _check_target(root, job.path)
    given = owner(root, job.owner) if job.owner else None
    top = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    extractor = _Extractor(top, Reader(stream, job.limits), job, given)
    try:
        extractor.run()
    finally:
        extractor.close()
        os.close(top)


def _check_target(root: int, path: str) -> None:
    try:
        place = paths.open_in_root(root, path, os.O_PATH)
    except FileNotFoundError:
        raise NotFound(path) from None
    except NotADirectoryError:
        raise InvalidArgument("extraction point is not a directory") from None
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            raise InvalidArgument("extraction point is not a directory")
        if os.fstatvfs(place).f_flag & os.ST_RDONLY:
            own = mount_of(place) == mount_of(root)
            raise Forbidden("container rootfs is marked read-only" if own else "mounted volume is marked read-only")
    finally:
        os.close(place)


class _Extractor(Unpacker):
    """Into a tree that is there already. Paths are walked from the container's root, so that links lead where they
    lead for the container, also out of the directory that is unpacked into.
    """

    def __init__(self, top: int, reader: Reader, job: CopyIn, owner: tuple[int, int] | None) -> None:
        super().__init__(top, reader, job.limits, devices=True)
        self._same_kind = job.same_kind
        self._owner = owner
        self._prefix = split(os.fsencode(job.path))

    def _add(self, entry: Header) -> None:
        parts = split(entry.name)
        if not parts:  # the directory itself stays as it is
            return
        self._check_name(parts[-1])
        if self._owner is not None:
            entry.uid, entry.gid = self._owner
        parts = self._prefix + parts
        if self._same_kind:
            self._refuse_other_kind(parts, entry)
        self._place(self._tree.parent(parts), parts, entry)

    def _target(self, entry: Header) -> list[bytes]:
        return self._prefix + super()._target(entry)

    def _refuse_other_kind(self, parts: list[bytes], entry: Header) -> None:
        try:
            parent = self._tree.directory(parts[:-1], make=False)
            there = stat.S_ISDIR(os.stat(parts[-1], dir_fd=parent, follow_symlinks=False).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return
        path = shown(b"/" + b"/".join(parts))
        if there and entry.kind != b"5":
            raise InvalidArgument(f'cannot overwrite directory "{path}" with non-directory')
        if not there and entry.kind == b"5":
            raise InvalidArgument(f'cannot overwrite non-directory "{path}" with directory')


def owner(root: int, text: str) -> tuple[int, int]:
    """The numbers of ``user[:group]``, which may be names of the container's own accounts. Raises InvalidArgument."""
    user, _, group = text.partition(":")
    for name, _, uid, gid, *_ in _accounts(root, "/etc/passwd", 4):
        if user in (name, uid):
            return int(uid), _group(root, group) if group else int(gid)
    if not user.isdecimal():
        raise InvalidArgument(f"unable to find user {user}: no matching entries in passwd file")
    return int(user), _group(root, group) if group else 0


def _group(root: int, group: str) -> int:
    for name, _, gid, *_ in _accounts(root, "/etc/group", 3):
        if group in (name, gid):
            return int(gid)
    if not group.isdecimal():
        raise InvalidArgument(f"unable to find group {group}: no matching entries in group file")
    return int(group)


def _accounts(root: int, path: str, fields: int) -> Iterator[list[str]]:
    """The lines of a file of accounts that have their numbers."""
    try:
        data = paths.read_file(root, path, _ACCOUNTS)
    except FileNotFoundError:
        return
    except ValueError as error:
        raise InvalidArgument(str(error)) from error
    for line in data.decode("utf-8", "replace").splitlines():
        parts = line.split(":")
        if len(parts) >= fields and all(part.isdecimal() for part in parts[2:fields]):
            yield parts
