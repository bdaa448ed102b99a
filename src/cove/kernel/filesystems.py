"""Whole file systems: their kind, and writing them back."""

import os
from pathlib import Path

from cove.kernel import mounts
from cove.kernel.libc import check, libc

_NAMES = {
    0xEF53: "extfs",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0x01021994: "tmpfs",
    0x794C7630: "overlayfs",
    0x2FC12FC1: "zfs",
    0xF2F52010: "f2fs",
}
"""The kernel's magic numbers (linux/magic.h) and the names that Docker's ``info`` has for them."""


def name(path: Path) -> str:
    """The name of the file system that a path is on, or its number in hexadecimal. Raises OSError."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        magic = mounts.file_system_magic(descriptor)
    finally:
        os.close(descriptor)
    return _NAMES.get(magic, f"{magic:#x}")


def sync(descriptor: int) -> None:
    """Write back all of the file system that ``descriptor`` is on and wait for it (syncfs(2)). Raises OSError."""
    check(libc.syncfs(descriptor), "syncfs")
