"""Whole file systems: writing them back."""

from cove.kernel.libc import check, libc


def sync(descriptor: int) -> None:
    """Write back all of the file system that ``descriptor`` is on and wait for it (syncfs(2)). Raises OSError."""
    check(libc.syncfs(descriptor), "syncfs")
