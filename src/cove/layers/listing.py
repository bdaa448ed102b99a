"""The names in a directory, in their order, however many there are."""

import heapq
import itertools
import os
from collections.abc import Iterator

MOST = 1 << 16
"""Names that are held at a time: a directory with more is read again for each so many."""


def sorted_names(*directories: int, most: int = MOST) -> Iterator[bytes]:
    """Each name that is in one of the directories, once; descriptors that stay the caller's, and open meanwhile.

    What is made or removed meanwhile may be there or not. Raises OSError.
    """
    names = list(itertools.islice(_names(directories), most))
    if len(names) < most:
        yield from sorted(set(names))
        return
    last = b""
    while names := heapq.nsmallest(most, (name for name in _names(directories) if name > last)):
        yield from (name for name, _ in itertools.groupby(names))
        last = names[-1]


def _names(directories: tuple[int, ...]) -> Iterator[bytes]:
    for directory in directories:
        with os.scandir(directory) as entries:
            for entry in entries:
                yield os.fsencode(entry.name)
