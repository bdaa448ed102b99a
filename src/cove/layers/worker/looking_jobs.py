"""The worker's jobs about what is in images: their files, what each layer changes, and what it wastes."""

import msgspec


class ListFiles(msgspec.Struct, frozen=True, tag=True):
    """What is at ``path``, absolute and cleaned or empty for all, and below. ``layers``: the lowest first."""

    layers: list[str]
    path: str


class CompareStacks(msgspec.Struct, frozen=True, tag=True):
    """What two stacks of layers show differently. Each is the lowest first."""

    before: list[str]
    after: list[str]


class FindWaste(msgspec.Struct, frozen=True, tag=True):
    """What of these layers, the lowest first, nobody sees."""

    layers: list[str]


class FoundFile(msgspec.Struct, frozen=True):
    """``mode``: as the kernel has it. ``modified``: seconds. ``layer``: from 0, the lowest."""

    path: str
    mode: int
    user: int
    group: int
    size: int
    modified: int
    layer: int
    target: str = ""


class ListFilesDone(msgspec.Struct, frozen=True, tag=True):
    files: list[FoundFile]


class FileChange(msgspec.Struct, frozen=True):
    """``kind``: 0 modified, 1 added, 2 deleted. Sizes in bytes."""

    path: str
    kind: int
    before: int
    after: int


class StacksCompared(msgspec.Struct, frozen=True, tag=True):
    changes: list[FileChange]


class LayerUse(msgspec.Struct):
    """Bytes, and entries. ``overwritten``, ``deleted``: of lower layers. ``repeated``: of what is added, what was there
    with the same content. ``dead``: of what is added, what higher layers hide.
    """

    size: int
    files: int
    overwritten: int = 0
    deleted: int = 0
    repeated: int = 0
    dead: int = 0


class WastedPath(msgspec.Struct, frozen=True):
    """``layers``: those that have it or remove it, from 0, the lowest."""

    path: str
    wasted: int
    layers: list[int]


class WasteFound(msgspec.Struct, frozen=True, tag=True):
    layers: list[LayerUse]
    worst: list[WastedPath]


LookingJob = ListFiles | CompareStacks | FindWaste
LookingDone = ListFilesDone | StacksCompared | WasteFound
