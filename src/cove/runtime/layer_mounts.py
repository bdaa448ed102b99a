"""A mount of layers beside the root: what a step of a build sees of another stage or of its context."""

from __future__ import annotations

import os
import stat

from cove.kernel import layer_images, mounts, overlay, paths
from cove.lean import NamedTuple, Sequence

TYPE = "layers"
"""The type of such a mount in the OCI configuration; no other runtime knows it."""
_LOWER, _WRITABLE = "lower=", "rw"


class LayersMount(NamedTuple):
    """``lower``: uppermost first. ``source``: a path in them. ``writable``: into a tmpfs, which goes with the mount."""

    lower: Sequence[str]
    source: str
    destination: str
    writable: bool

    def apply(self, root: int) -> None:
        opened: list[int] = []
        try:
            whole = self._mounted(opened)
            opened.append(whole)
            mount = self._part(whole, opened)
            self._attach(root, mount)
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _mounted(self, opened: list[int]) -> int:
        if self.writable:
            return _over_tmpfs(self.lower, opened)
        if len(self.lower) > 1:
            return overlay.mount_read_only(list(self.lower))
        if layer_images.is_image(self.lower[0]):
            return layer_images.mount(self.lower[0])
        mount = mounts.open_tree(self.lower[0], mounts.OPEN_TREE_CLONE)
        mounts.set_attributes(mount, mounts.READ_ONLY)
        return mount

    def _part(self, whole: int, opened: list[int]) -> int:
        path = self.source.strip("/")
        if not path:
            return whole
        place = paths.open_in_root(whole, path, os.O_PATH)
        opened.append(place)
        part = mounts.open_tree("", mounts.OPEN_TREE_CLONE | mounts.AT_EMPTY_PATH, place)
        opened.append(part)
        return part

    def _attach(self, root: int, mount: int) -> None:
        directory = stat.S_ISDIR(os.fstat(mount).st_mode)
        make = paths.make_directories if directory else paths.make_file
        place = make(root, self.destination)
        try:
            mounts.attach(mount, place)
        finally:
            os.close(place)


def _over_tmpfs(lower: Sequence[str], opened: list[int]) -> int:
    with mounts.FileSystem("tmpfs") as file_system:
        file_system.set("source", "tmpfs")
        scratch = file_system.mount()
    opened.append(scratch)
    for name in ("upper", "work"):
        os.mkdir(name, 0o755, dir_fd=scratch)
    base = f"/proc/self/fd/{scratch}"
    return overlay.mount(list(lower), f"{base}/upper", f"{base}/work", "")


def parse(source: str, destination: str, options: Sequence[str]) -> LayersMount:
    """A mount of the OCI configuration: ``lower=PATH`` for each layer, and ``ro`` or ``rw``."""
    lower = [option[len(_LOWER) :] for option in options if option.startswith(_LOWER)]
    if not lower:
        raise ValueError(f"mounts: {destination}: no layers")
    return LayersMount(lower, "" if source == TYPE else source, destination, _WRITABLE in options)
