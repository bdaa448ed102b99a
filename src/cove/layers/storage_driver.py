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
_OPTIONS = ("overlay2.override_kernel_check", "overlay2.size")
_ALSO = {"overlay": "overlay2", "overlayfs": "overlay2"}


def check(wanted: str) -> None:
    """Raises InvalidArgument for a name, not empty, that is no driver's."""
    if _ALSO.get(wanted, wanted) not in ("", *NAMES):
        raise InvalidArgument(
            f"error initializing graphdriver: driver not supported: {wanted!r} is not one of {', '.join(NAMES)}"
        )


def check_option(text: str) -> None:
    """Raises InvalidArgument, in dockerd's words, for an option of a driver that is none. None has an effect."""
    key, equals, _value = text.partition("=")
    if not equals:
        raise InvalidArgument(f"error initializing graphdriver: Unable to parse key/value option: {text}")
    if key.strip().lower() not in _OPTIONS:
        raise InvalidArgument(f"error initializing graphdriver: overlay2: unknown option {key.strip().lower()}")


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
