"""How new layers lie on disk: unpacked into directories (``overlay2``), or as images of the kernel's EROFS (``erofs``).

What there is of the other kind stays usable, and one container may have layers of both.
"""

import os
import tempfile
from pathlib import Path
from typing import Literal

from cove.errors import InvalidArgument
from cove.kernel import layer_images, overlay
from cove.layers.erofs import image as erofs
from cove.layers.erofs.inodes import directory

StorageDriver = Literal["overlay2", "erofs"]
NAMES: tuple[StorageDriver, ...] = ("erofs", "overlay2")
_ALSO = {"overlay": "overlay2", "overlayfs": "overlay2"}


def check(wanted: str) -> None:
    """Raises InvalidArgument for a name, not empty, that is no driver's."""
    if _ALSO.get(wanted, wanted) not in ("", *NAMES):
        raise InvalidArgument(f"storage-driver: {wanted!r} is not one of {', '.join(NAMES)}")


def choose(wanted: str, data_root: Path) -> StorageDriver:
    """The driver of this name; without one the first that works here.

    Raises InvalidArgument for a name that is none, and for one that this kernel or this file system cannot do.
    """
    check(wanted)
    name = _ALSO.get(wanted, wanted)
    if name == "overlay2":
        return "overlay2"
    failure = _failure_of_images(data_root)
    if failure is None:
        return "erofs"
    if name:
        raise InvalidArgument(f"storage-driver: erofs does not work here: {failure}")
    return "overlay2"


def _failure_of_images(data_root: Path) -> OSError | None:
    """What goes wrong when an image is mounted with a writable overlay above it, as a container's root is."""
    with tempfile.TemporaryDirectory(dir=data_root, prefix="storage-driver-", suffix=layer_images.SUFFIX) as place:
        layer = Path(place)
        (layer / layer_images.TAR).write_bytes(bytes(erofs.BLOCK))
        with (layer / layer_images.INDEX).open("wb") as index:
            erofs.write(directory(), erofs.BLOCK, index)
        for name in ("upper", "work"):
            (layer / name).mkdir()
        try:
            os.close(overlay.mount([place], str(layer / "upper"), str(layer / "work"), place))
        except OSError as error:
            return error
        return None
