"""What is in images, and whether it is whole: extensions of ours. Sizes in bytes."""

from typing import ClassVar

from msgspec import field

from cove.wire.base import Wire


class ImageProblem(Wire):
    """``kind``: ``blob``, ``layer`` or ``index``. ``name``: digest or chain id. ``images``: names, or ids."""

    kind: str
    name: str
    path: str
    problem: str
    images: list[str]
    repaired: bool = False


class ImagesVerified(Wire):
    """How much was read, and what is not as it should be."""

    images: int
    blobs: int
    layers: int
    bytes: int
    problems: list[ImageProblem]


class ImageFile(Wire):
    """``mode``: as the kernel has it. ``modified``: seconds since 1970. ``layer``: counted from 1, the lowest."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"target"})

    path: str
    mode: int
    user: int = field(name="UID", default=0)
    group: int = field(name="GID", default=0)
    size: int = 0
    modified: int = 0
    layer: int = 0
    target: str = ""


class ImageFileChange(Wire):
    """``kind``: 0 modified, 1 added, 2 deleted, as of containers. Sizes: 0 where it is not there."""

    path: str
    kind: int
    size_before: int = 0
    size_after: int = 0


class ImageSettingChange(Wire):
    """A field of the configuration. JSON, empty where it is not set."""

    name: str
    before: str
    after: str


class ImageDifference(Wire):
    """From one image to another. ``shared``: of the layers, from the lowest on, those that both have."""

    before: str
    after: str
    shared: int
    files: list[ImageFileChange]
    settings: list[ImageSettingChange]


class LayerWaste(Wire):
    """What one layer adds, and what of lower layers it makes useless, in bytes.

    ``overwritten``: files that it replaces; ``deleted``: that it removes; ``repeated``: of what it adds, files that
    were there with the same content. ``dead``: of what it adds, what higher layers overwrite or delete.
    """

    id: str
    created_by: str
    size: int
    files: int
    overwritten: int = 0
    deleted: int = 0
    repeated: int = 0
    dead: int = 0


class WastedFile(Wire):
    """A path with bytes that nobody sees. ``layers``: those that have or remove it, counted from 1, the lowest."""

    path: str
    wasted: int
    layers: list[int]


class ImageWaste(Wire):
    """``total``: bytes of all layers; ``wasted``: of those what nobody sees. ``worst``: the most wasteful files."""

    id: str
    total: int
    wasted: int
    layers: list[LayerWaste]
    worst: list[WastedFile]
