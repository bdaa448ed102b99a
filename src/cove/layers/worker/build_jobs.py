"""The worker's jobs about builds: contexts, what a step copies from them, and the layers that steps make."""

import msgspec

from cove.layers.tar.reader import Limits


class PackStep(msgspec.Struct, frozen=True, tag=True):
    """Make a layer of what an overlay's upper directory says, as ``Unpack`` makes one of a tar.

    ``target``, ``plain``: as of ``Unpack``; neither is there yet. ``lower``: what the upper directory is over.
    ``stubs``: paths, from the root and without a slash before them, that may have been made to mount on. ``epoch``:
    seconds since 1970 that no time may be after; -1: no bound.
    """

    upper: str
    target: str
    plain: str
    lower: list[str] = msgspec.field(default_factory=list)
    stubs: list[str] = msgspec.field(default_factory=list)
    epoch: int = -1


class ReceiveContext(msgspec.Struct, frozen=True, tag=True):
    """Read the second descriptor (a tar, compressed or not), keep it decompressed as ``tar``, and write its index."""

    tar: str
    index: str
    limits: Limits = Limits()


class ListContext(msgspec.Struct, frozen=True, tag=True):
    """Read the list of a context's files from the second descriptor, and see which contents are not in ``known``.

    ``listing``: a file to write what was read to, or ``index``, as the context's index, when all are known.
    """

    known: str
    listing: str
    index: str
    limits: Limits = Limits()


class FillContext(msgspec.Struct, frozen=True, tag=True):
    """Read the contents that a list was found to lack from the second descriptor, write them to ``data`` from ``begin``
    on, note where they are in ``known``, and write the context's index.
    """

    known: str
    listing: str
    index: str
    data: str
    begin: int


class HideInContext(msgspec.Struct, frozen=True, tag=True):
    """Take files out of a context's index."""

    index: str
    paths: list[bytes]


class TreePlace(msgspec.Struct, frozen=True):
    """Where a tree of files is: a context that was received, or the layers of an image, uppermost first."""

    tar: str = ""
    index: str = ""
    lower: list[str] = msgspec.field(default_factory=list)


class Rule(msgspec.Struct, frozen=True):
    """``expression``: a regular expression for a whole path. ``negated``: brings back what an earlier rule left out."""

    expression: str
    negated: bool = False


class Source(msgspec.Struct, frozen=True):
    """What is copied from one tree, or a file that is given.

    ``path``: from the tree's root, cleaned. ``expression``: when it has wildcards, for the whole path. ``excludes``:
    for paths below what is copied. ``parents``: keep the directories from component ``pivot`` of the path on, and
    exclude by paths from there. ``optional``: the expression may match nothing.
    ``unpack``: a file that is an archive is unpacked. ``name``, ``content``, ``mode`` and ``mtime`` (seconds; negative:
    now): of a file that is given.
    """

    tree: TreePlace = TreePlace()
    path: str = ""
    expression: str = ""
    excludes: list[Rule] = msgspec.field(default_factory=list)
    parents: bool = False
    pivot: int = 0
    unpack: bool = False
    name: str = ""
    content: bytes | None = None
    mode: int = 0
    mtime: int = -1
    optional: bool = False


class Selection(msgspec.Struct, frozen=True):
    """What a COPY or ADD puts where. ``destination``: absolute and cleaned; ``directory``: it ended with a slash.

    ``owner``: ``user[:group]``, or empty for root. ``mode``: octal or symbolic, or empty. ``keep_owner``: as the source
    has it, where ``owner`` is empty. ``replaces``: directories take the place of files and links, and files that of
    directories; else that is refused.
    """

    sources: list[Source]
    destination: str
    directory: bool = False
    owner: str = ""
    mode: str = ""
    keep_owner: bool = False
    replaces: bool = False


class Select(msgspec.Struct, frozen=True, tag=True):
    """Name everything that a selection would copy by its content. ``listing``: a file to write the names to, or empty.

    ``lower``: of the root that it would be copied to.
    """

    selection: Selection
    lower: list[str]
    listing: str = ""


class CopyStep(msgspec.Struct, frozen=True, tag=True):
    """Make a layer of a selection, as ``PackStep`` does. ``now``: seconds since 1970, of directories that are made."""

    selection: Selection
    lower: list[str]
    target: str
    plain: str
    now: int
    epoch: int = -1


class Squash(msgspec.Struct, frozen=True, tag=True):
    """Make one layer of several, as ``PackStep`` does. ``sources``: their tars, not compressed, lowest first.

    ``lower``: what they are over.
    """

    sources: list[str]
    lower: list[str]
    target: str
    plain: str
    epoch: int = -1


class ReadFile(msgspec.Struct, frozen=True, tag=True):
    """The content of a file, at most ``limit`` bytes of it."""

    place: TreePlace
    path: bytes
    limit: int


class FindPackages(msgspec.Struct, frozen=True, tag=True):
    """What languages' package managers have put into layers, uppermost first."""

    lower: list[str]


class FoundPackage(msgspec.Struct, frozen=True):
    """``kind``: pypi, npm or golang."""

    kind: str
    name: str
    version: str


class FindPackagesDone(msgspec.Struct, frozen=True, tag=True):
    packages: list[FoundPackage]


class ReceiveContextDone(msgspec.Struct, frozen=True, tag=True):
    """``size`` in bytes, of all files. ``digest``: of their names, kinds, owners and contents; not of their times."""

    entries: int
    size: int
    digest: str = ""


class ReadFileDone(msgspec.Struct, frozen=True, tag=True):
    """``content``: None when there is no such file."""

    content: bytes | None


class HideInContextDone(msgspec.Struct, frozen=True, tag=True):
    """``digest``: of what is left, as of ``ReceiveContextDone``."""

    digest: str


class ListContextDone(msgspec.Struct, frozen=True, tag=True):
    """``size`` in bytes, of all files. ``missing``: the files of the list, counted from 0, whose contents lack, and
    ``missing_size`` their bytes.
    """

    entries: int
    size: int
    missing: list[int]
    missing_size: int


class SelectDone(msgspec.Struct, frozen=True, tag=True):
    """``digest``: ``sha256:…``, the same whenever the same would be copied. ``entries``: how many are copied.

    ``nothing``: patterns have matched nothing, and not even the destination is made.
    """

    digest: str
    entries: int
    nothing: bool = False


BuildJob = (
    PackStep
    | ReceiveContext
    | ListContext
    | FillContext
    | HideInContext
    | Select
    | CopyStep
    | Squash
    | ReadFile
    | FindPackages
)
BuildDone = ReceiveContextDone | HideInContextDone | ReadFileDone | FindPackagesDone | ListContextDone | SelectDone
