"""Two names that change places in one step (renameat2(2), RENAME_EXCHANGE)."""

import os

from cove.kernel.libc import system_call

_RENAMEAT2 = {"x86_64": 316, "aarch64": 276}.get(os.uname().machine, 316)
_AT_FDCWD = -100
_EXCHANGE = 2


def exchange(one: str, other: str) -> None:
    """Both exist, on one file system. Raises OSError with the first path."""
    system_call("rename", _RENAMEAT2, _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE, path=one)
