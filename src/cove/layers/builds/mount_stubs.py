"""What was made in a root only to have something to mount on: no layer is to have it.

That is an empty file or directory at the place of the mount, the directories above it that were made as well, and the
mark of change on those that were there before.
"""

import os
import stat

from cove.layers.builds.trees import Tree

_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Stubs:
    """``paths``: of the mounts, from the root. ``below``: the root without the changes."""

    def __init__(self, paths: list[bytes], below: Tree) -> None:
        self._paths = frozenset(paths)
        self._above = frozenset(path[:end] for path in paths for end in range(len(path)) if path[end : end + 1] == b"/")
        self._below = below

    def skip(self, place: int, name: bytes, found: os.stat_result) -> bool:
        """Whether this is a stub, or a directory that has changed by stubs alone."""
        name = name.rstrip(b"/")
        if name not in self._paths and name not in self._above:
            return False
        if not stat.S_ISDIR(found.st_mode):
            return name in self._paths and not found.st_size and self._below.look(tuple(name.split(b"/"))) is None
        return self._holds_stubs_only(place, name) and self._same_below(name, found)

    def _holds_stubs_only(self, place: int, name: bytes) -> bool:
        directory = os.open(b".", _LISTED, dir_fd=place)
        try:
            for child in map(os.fsencode, os.listdir(directory)):
                below = os.open(child, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
                try:
                    if not self.skip(below, name + b"/" + child, os.fstat(below)):
                        return False
                finally:
                    os.close(below)
            return True
        finally:
            os.close(directory)

    def _same_below(self, name: bytes, found: os.stat_result) -> bool:
        before = self._below.look(tuple(name.split(b"/")))
        if before is None:
            return True
        return before.is_directory and (before.mode, before.uid, before.gid) == (
            found.st_mode,
            found.st_uid,
            found.st_gid,
        )
