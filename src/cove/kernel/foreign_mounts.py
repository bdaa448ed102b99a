"""Mounts of another container. From outside, by /proc/<pid>/root, a link of that container's would lead to the host."""

import os

from cove.kernel import mounts, namespaces, paths


def copy(namespace: str, path: str) -> int:
    """A detached copy of what is mounted at a path in a mount namespace, which is entered meanwhile.

    ``namespace``: its file. No link is followed on the way. Raises OSError.
    """
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)  # getpid(2) may be of another namespace by now
    try:
        namespaces.enter_path(namespace, "mount")
        try:
            return _copy_in_root(path)
        finally:
            namespaces.enter(own, "mount")
    finally:
        os.close(own)


def _copy_in_root(path: str) -> int:
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        place = paths.open_in_root(root, path, os.O_PATH, links=False)
        try:
            return mounts.open_tree("", mounts.OPEN_TREE_CLONE | mounts.AT_EMPTY_PATH, place)
        finally:
            os.close(place)
    finally:
        os.close(root)
