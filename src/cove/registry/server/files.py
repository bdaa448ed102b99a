"""Where the bytes are: ``blobs/<algorithm>/<hex>`` as in an OCI layout, ``uploads/<id>`` for those on their way in.

Everything here may wait for the disk: call it in a thread. What a registry keeps elsewhere (object storage) will be
another class with these methods.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from cove.digest import LENGTHS, Digest
from cove.kernel import file_data


class Files:
    """The files below a registry's root."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._uploads = root / "uploads"

    def open(self, blobs: Iterable[str], uploads: Iterable[str]) -> None:
        """Make the directories, and remove files that are none of these blobs and uploads. Only at start-up."""
        known = {*blobs}
        self._uploads.mkdir(parents=True, exist_ok=True)
        for algorithm in LENGTHS:
            directory = self._blobs / algorithm
            directory.mkdir(parents=True, exist_ok=True)
            _remove(entry.path for entry in os.scandir(directory) if f"{algorithm}:{entry.name}" not in known)
        kept = {*uploads}
        _remove(entry.path for entry in os.scandir(self._uploads) if entry.name not in kept)

    def path(self, digest: Digest) -> Path:
        """Of a blob that the index knows."""
        return self._blobs / digest.algorithm / digest.hex

    def upload(self, identity: str) -> Path:
        """Of an upload, or of anything else that is to be ``settle``d; ``open`` removes the latter."""
        return self._uploads / identity

    def settle(self, source: Path, digest: Digest) -> None:
        """Make these verified bytes a blob. The source stays until the index knows the blob: then ``discard`` it."""
        target = self.path(digest)
        with contextlib.suppress(FileNotFoundError):
            target.unlink()
        os.link(source, target)
        file_data.sync(target.parent)

    def discard(self, source: Path) -> None:
        """Remove what was on its way in."""
        source.unlink(missing_ok=True)

    def remove(self, digest: Digest) -> None:
        """Remove a blob that the index has forgotten."""
        self.path(digest).unlink(missing_ok=True)


def _remove(paths: Iterable[str]) -> None:
    for path in paths:
        os.unlink(path)
