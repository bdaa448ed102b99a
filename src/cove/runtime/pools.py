"""Filling the gaps that the imports leave in the zygote's memory, so that what shims allocate goes on fresh pages.

CPython 3.11 takes up to 512 bytes from pools of 16 KiB, one size to a pool (obmalloc.c). A shim that fills in the gaps
copies a page of the zygote's for every few objects: 150 KiB of each shim, measured, against 300 KiB once.
"""

import sys

_POOL = 1 << 14
_FIRST = 48  # where a pool's first object is, behind its header
_SIZES = range(48, 513, 16)
_MOST = 4096  # of one size; an interpreter that allocates in another way ends there

_kept: list[bytes] = []


def fill() -> None:
    """Allocate objects of every size until each is at the beginning of a pool. They are kept for good."""
    bare = sys.getsizeof(b"")
    for size in _SIZES:
        for _ in range(_MOST):
            _kept.append(bytes(size - bare))
            if id(_kept[-1]) % _POOL == _FIRST:
                break
