"""Directories that take no more than they may: by a project quota where the file system has them, else by a disk of
their own, a sparse file beside the directory with an ext4 or XFS that is mounted there by whoever uses it.
"""

import asyncio
import contextlib
import errno
import logging
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from cove.errors import Internal, InvalidArgument, NoSpace
from cove.kernel import capabilities, loops, quotas
from cove.kernel.staged_mounts import StagedMount
from cove.units import human_binary_size

log = logging.getLogger(__name__)

QUOTA, DISK = "project quota", "disk image"

SMALLEST = 4 << 20
"""Bytes in which an ext4 with a journal has room for anything."""

LARGEST = 1 << 50

_FIRST_PROJECT = 1 << 20
"""Smaller numbers are what administrators choose."""

_MAKE_EXT4 = (
    "mkfs.ext4",
    "-q",
    "-F",
    "-m",
    "0",
    "-E",
    "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0",
)
_EMPTY_EXT4 = ("debugfs", "-w", "-R", "rmdir lost+found")
"""A volume begins empty, or programs refuse it, and copy-up does."""

_MAKE_XFS = ("mkfs.xfs", "-q", "-f")
_SMALLEST_XFS = 300 << 20
_GROWS_EXT4 = capabilities.mask(["CAP_SYS_RESOURCE"])
_OPTIONS = {"ext4": "discard", "xfs": "discard,nouuid"}
"""Blocks of what is deleted go back to the host; of an XFS that was cloned both may be mounted."""


class Space(NamedTuple):
    """Bytes. ``backing``: QUOTA or DISK."""

    backing: str
    limit: int
    used: int


class Spaces:
    """All that is known of a space is on the disk; only who has its loop device open is kept here."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], int] = {}
        self._lock = asyncio.Lock()  # two devices of one file would be two file systems in one place

    async def make(self, place: Path, size: int) -> None:
        """Bound an empty directory to ``size`` bytes. Raises InvalidArgument, Internal."""
        check(size)
        try:
            await asyncio.to_thread(_make, place, size)
        except OSError as error:
            raise _failed(error, place) from error

    async def keep(self, place: Path, size: int) -> None:
        """Before it is used: a quota that is gone, as the files were copied to another disk, is made anew.

        Raises Internal.
        """
        try:
            space = self.look(place)
            if space is not None and space.limit:
                return
            if not quotas.supported(str(place)):
                log.warning("%s: nothing bounds it to %d bytes any more: no project quotas here", place, size)
                return
            async with self._lock:
                await asyncio.to_thread(_bind, place, size)
        except OSError as error:
            raise _failed(error, place) from error

    def look(self, place: Path) -> Space | None:
        """None where nothing bounds the directory. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            disk = disk_of(place).stat()
            return Space(DISK, disk.st_size, disk.st_blocks * 512)
        number = quotas.project(str(place)) if quotas.supported(str(place)) else 0
        if number < _FIRST_PROJECT:
            return None
        usage = quotas.usage(str(place), number)
        return Space(QUOTA, usage.limit, usage.used)

    async def attach(self, place: Path, user: str) -> tuple[StagedMount, ...]:
        """What ``user`` has to mount to see what is in there, until ``release``. Raises Internal."""
        disk = disk_of(place)
        if not disk.exists():
            return ()
        try:
            async with self._lock:
                held, device = await asyncio.to_thread(loops.attach, str(disk))
        except OSError as error:
            raise _failed(error, place) from error
        self.release(place, user)
        self._held[str(place), user] = held
        kind = _kind(disk)
        return (StagedMount("file system", str(place), device, type=kind, data=_OPTIONS[kind]),)

    def release(self, place: Path, user: str) -> None:
        """It has been mounted, or is not needed any more: a mount keeps the device by itself."""
        held = self._held.pop((str(place), user), None)
        if held is not None:
            os.close(held)

    def busy(self, place: Path) -> bool:
        """Whether somebody has its disk."""
        return any(path == str(place) for path, _ in self._held)

    def limit(self, place: Path, size: int) -> None:
        """Give a quota another bound. Raises OSError."""
        quotas.limit(str(place), quotas.project(str(place)), size)

    def lengthen(self, place: Path, user: str, size: int) -> None:
        """Make the disk that ``user`` has attached longer, or as long as it was; the file system in it stays.

        Raises OSError.
        """
        os.truncate(disk_of(place), size)
        loops.refresh(self._held[str(place), user])

    def forget(self, place: Path) -> None:
        """Before the directory is removed: its project is nobody's."""
        with contextlib.suppress(OSError):
            number = quotas.project(str(place)) if quotas.supported(str(place)) else 0
            if number >= _FIRST_PROJECT:
                quotas.limit(str(place), number, 0)


def disk_of(place: Path) -> Path:
    """The disk of a directory, which need not be there."""
    return place.with_name(f"{place.name}.disk")


def check(size: int) -> None:
    """Raises InvalidArgument."""
    if not SMALLEST <= size <= LARGEST:
        bounds = f"{human_binary_size(SMALLEST)} to {human_binary_size(LARGEST)}"
        raise InvalidArgument(f"invalid size: {size} bytes are not within {bounds}")


def make_disk(disk: Path, size: int) -> None:
    """A new file with an empty file system. Raises OSError.

    An XFS where an ext4 could not grow while it is mounted, if there is room and a program for one.
    """
    part = disk.with_name(f"{disk.name}.part")
    with open(part, "wb") as file:
        file.truncate(size)
    xfs = size >= _SMALLEST_XFS and not capabilities.bounding() & _GROWS_EXT4 and shutil.which(_MAKE_XFS[0])
    for words in (_MAKE_XFS,) if xfs else (_MAKE_EXT4, _EMPTY_EXT4):
        try:
            subprocess.run([*words, str(part)], check=True, capture_output=True, stdin=subprocess.DEVNULL)
        except subprocess.CalledProcessError as error:
            part.unlink()
            raise OSError(errno.EIO, f"{words[0]}: {error.stderr.decode(errors='replace').strip()}") from error
    os.rename(part, disk)


def _kind(disk: Path) -> str:
    with open(disk, "rb") as file:
        return "xfs" if file.read(4) == b"XFSB" else "ext4"


def _make(place: Path, size: int) -> None:
    if not quotas.supported(str(place)):
        make_disk(disk_of(place), size)
        return
    number = _free_project(place)
    quotas.limit(str(place), number, size)
    quotas.assign(str(place), number)


def _bind(place: Path, size: int) -> None:
    """Bound a directory that has files, by its project or a new one; the bound comes last, as more may be in use."""
    number = quotas.project(str(place))
    if number < _FIRST_PROJECT:
        number = _free_project(place)
        quotas.assign_tree(str(place), number)
    quotas.limit(str(place), number, size)


def _free_project(place: Path) -> int:
    """One that nobody uses, also no other daemon's data root on the same file system."""
    while True:
        number = random.randrange(_FIRST_PROJECT, 1 << 31)
        try:
            if quotas.usage(str(place), number) == quotas.Usage(0, 0):
                return number
        except FileNotFoundError:  # how XFS says that it has never heard of it
            return number


def _failed(error: OSError, place: Path) -> Internal:
    kind = NoSpace if error.errno == errno.ENOSPC else Internal
    if isinstance(error, FileNotFoundError) and error.filename in (_MAKE_EXT4[0], _EMPTY_EXT4[0]):
        return kind(f"{error.filename} is not installed, and the file system of {place} has no project quotas")
    return kind(f"{place}: {error.strerror or error}")
