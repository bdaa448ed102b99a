"""Layers that are EROFS images: a directory ``….erofs`` with the metadata in ``index`` and the data in ``tar``.

The kernel reads both files itself (Linux 6.12, file-backed mounts): there is no loop device, and a mount that is never
attached anywhere is held by its descriptor alone. Overlays over one mount share one page cache; so a process that
starts containers keeps the mounts of the layers that it has met.
"""

import errno
import os

from cove.kernel import mounts
from cove.lean import Iterable

SUFFIX = ".erofs"
INDEX, TAR = "index", "tar"
MOST_KEPT = 512
"""Mounts kept, a descriptor each."""

_kept: dict[str, int] = {}


def is_image(layer: str) -> bool:
    """Whether a layer, by the name of its directory, is an image."""
    return layer.endswith(SUFFIX)


def mount(layer: str) -> int:
    """A descriptor of a detached read-only mount of an image. Raises OSError."""
    directory = os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        base = f"/proc/self/fd/{directory}"  # a parameter has to be short
        _read_ahead(f"{base}/{INDEX}")
        with mounts.FileSystem("erofs") as file_system:
            file_system.set("source", f"{base}/{INDEX}")
            file_system.set("device", f"{base}/{TAR}")
            return file_system.mount(mounts.READ_ONLY)
    finally:
        os.close(directory)


def mounted(layer: str, opened: list[int]) -> int:
    """A mount of an image: the one that is kept, or a new one, which is added to ``opened``. Raises OSError."""
    kept = _kept.get(layer)
    if kept is None:
        kept = mount(layer)
        opened.append(kept)
    return kept


def mapped(layer: str, user_namespace: int, opened: list[int]) -> int:
    """An idmapped mount of a layer, image or directory, which is added to ``opened``. Raises OSError."""
    opened.append(_copy(layer, opened))
    mounts.set_attributes(opened[-1], 0, user_namespace=user_namespace)
    return opened[-1]


def _copy(layer: str, opened: list[int]) -> int:
    """A detached mount of its own, over the same pages where there is one already (Linux 6.15)."""
    if not is_image(layer):
        return mounts.open_tree(layer, mounts.OPEN_TREE_CLONE)
    try:
        return mounts.open_tree("", mounts.OPEN_TREE_CLONE | mounts.AT_EMPTY_PATH, mounted(layer, opened))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return mount(layer)


def keep(layer: str) -> None:
    """Have the mount of an image ready for this process and those that it forks. Raises OSError."""
    if layer in _kept:
        return
    while len(_kept) >= MOST_KEPT:
        forget([next(iter(_kept))])
    _kept[layer] = mount(layer)


def forget(layers: Iterable[str]) -> None:
    """Close the mounts of these layers: their files are going to be removed."""
    for layer in layers:
        descriptor = _kept.pop(layer, None)
        if descriptor is not None:
            os.close(descriptor)


def forget_others(layers: Iterable[str]) -> list[int]:
    """Keep the mounts of these layers alone; their descriptors."""
    forget(set(_kept).difference(layers))
    return list(_kept.values())


def forget_all() -> None:
    """Close everything that is kept: a process that lives long holds no layer of others."""
    forget(list(_kept))


def _read_ahead(index: str) -> None:
    """Have the metadata in memory: in the way that EROFS reads what is not, ext4 misses a lock and warns, once."""
    file = os.open(index, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while os.read(file, 1 << 20):
            pass
    finally:
        os.close(file)
