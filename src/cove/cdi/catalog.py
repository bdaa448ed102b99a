"""All CDI files of the directories, read again when they change."""

import os
import stat
import threading
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cove.cdi.document import ContainerEdits, Document
from cove.cdi.parsing import parse
from cove.cdi.validation import check
from cove.errors import Internal, InvalidArgument

LARGEST = 4 << 20
"""Bytes of a file that are read; those of real vendors have tens of thousands."""

_ENDINGS = (".json", ".yaml")


class Unresolvable(Internal):
    """Devices that no file has, in the words of the CDI library."""


class Found(NamedTuple):
    """A device: the file, and the number of its place in the file's list."""

    path: str
    document: Document
    number: int


Stamp = tuple[int, int, int, int, int]
"""Device, inode, size and times of change of a file, in nanoseconds."""


class _File(NamedTuple):
    stamp: Stamp
    document: Document | None
    problem: str


class Catalog:
    """The devices of some directories, the later of which win. Nothing is looked at before somebody asks.

    ``refresh`` may be called in any thread: it looks at the directories and reads what has changed. The rest answers
    from what it found.
    """

    def __init__(self, directories: Sequence[str]) -> None:
        self.directories = tuple(directories)
        self._files: dict[str, _File] = {}
        self._devices: dict[str, Found] = {}
        self._problems: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def refresh(self) -> None:
        with self._lock:
            files: dict[str, _File] = {}
            problems: list[tuple[str, str]] = []
            devices: dict[str, Found] = {}
            for directory in self.directories:
                here = {path: self._file(path, stamp) for path, stamp in _listed(directory, problems)}
                files |= here
                _add(devices, here, problems)
            self._files, self._devices, self._problems = files, devices, problems

    def names(self, kind: str = "") -> list[str]:
        """The qualified names of all devices, or those of a kind."""
        return sorted(name for name in self._devices if not kind or name.startswith(f"{kind}="))

    def problems(self) -> list[tuple[str, str]]:
        """Files that are of no use, or not in whole: the path, and why."""
        return list(self._problems)

    def edits(self, chosen: Iterable[str]) -> list[tuple[str, ContainerEdits]]:
        """What devices want, each with its place; the edits of a file come once, before those of its devices.

        Raises Unresolvable, with what is wrong with the files that it may be in.
        """
        devices, wanted = self._devices, list(dict.fromkeys(chosen))
        missing = [name for name in wanted if name not in devices]
        if missing:
            raise Unresolvable(f"unresolvable CDI devices {', '.join(missing)}{self._reasons()}")
        made: dict[str, ContainerEdits] = {}
        for name in wanted:
            path, document, number = devices[name]
            made.setdefault(f"{path}: containerEdits", document.container_edits)
            made[f"{path}: devices[{number}].containerEdits"] = document.devices[number].container_edits
        return list(made.items())

    def _reasons(self) -> str:
        return "".join(f"; {path}: {why}" for path, why in self._problems)

    def _file(self, path: str, stamp: Stamp) -> _File:
        known = self._files.get(path)
        return known if known is not None and known.stamp == stamp else _read(path, stamp)


def _listed(directory: str, problems: list[tuple[str, str]]) -> list[tuple[str, Stamp]]:
    """The files of a directory by name; one that is not there has none."""
    found = []
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(_ENDINGS))
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append((directory, _words(error)))
        return []
    for name in names:
        path = os.path.join(directory, name)
        try:
            status = os.stat(path)
        except OSError as error:
            problems.append((path, _words(error)))
            continue
        if stat.S_ISREG(status.st_mode):
            times = (status.st_mtime_ns, status.st_ctime_ns)
            found.append((path, (status.st_dev, status.st_ino, status.st_size, *times)))
    return found


def _read(path: str, stamp: Stamp) -> _File:
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise InvalidArgument(f"it is larger than {LARGEST} bytes")
        document = parse(path, content)
        check(document)
    except OSError as error:
        return _File(stamp, None, _words(error))
    except InvalidArgument as error:
        return _File(stamp, None, error.message)
    return _File(stamp, document, "")


def _add(devices: dict[str, Found], files: dict[str, _File], problems: list[tuple[str, str]]) -> None:
    """The devices of one directory; of two in it with one name there is neither."""
    here: dict[str, Found] = {}
    conflicts: set[str] = set()
    for path, (_, document, problem) in files.items():
        if document is None:
            problems.append((path, problem))
            continue
        for index, device in enumerate(document.devices):
            name = f"{document.kind}={device.name}"
            other = here.setdefault(name, Found(path, document, index))
            if other.path != path:
                conflicts.add(name)
                words = f'devices[{index}].name: conflicting device "{name}" (specs "{path}", "{other.path}")'
                problems.append((path, words))
    devices |= here
    for name in conflicts:
        del devices[name]


def _words(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()
