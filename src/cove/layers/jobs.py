"""What coved and the unpacking worker say to each other.

::

    coved                      worker                       child
      │  job + [reply, fds…]     │                            │
      ├─────── SEQPACKET ───────▶├────────── fork ───────────▶│
      │                                                       │ works
      │◀── reply (a stream socket): Progress … then one end ──┤
      │                                                       │ exits
      ╎  coved closes its end: the job is cancelled, the child exits at once

A job is one datagram; replies are lines of JSON. The first descriptor of a job is the child's end of the reply socket.
"""

import msgspec

from cove.errors import CoveError, Forbidden, Internal, InvalidArgument, NoSpace, NotFound
from cove.kernel.staged_mounts import StagedMount
from cove.layers.tar import Limits
from cove.layers.tree_jobs import TreeDone, TreeJob

CONTROL = 3
"""The worker's descriptor of the socket that jobs come by."""


class Staged(msgspec.Struct, frozen=True):
    """A ``kernel.staged_mounts.StagedMount``, field by field."""

    kind: str
    place: str
    device: str = ""
    path: str = ""
    type: str = ""
    flags: int = 0
    data: str = ""
    layers: list[str] = msgspec.field(default_factory=list)

    @classmethod
    def of(cls, mount: StagedMount) -> "Staged":
        return cls(*mount[:-1], list(mount.layers))

    def made(self) -> StagedMount:
        return StagedMount(*(getattr(self, name) for name in self.__struct_fields__))


class Unpack(msgspec.Struct, frozen=True, tag=True):
    """Read the second descriptor (a tar, compressed or not) to its end.

    ``target``: directory to make and unpack into, or, when its name is one of ``kernel.layer_images``, to make an image
    in; or empty. ``raw``, ``plain``: files to write the bytes to as they come, and decompressed; or empty. ``source``:
    the file that is read, or empty: an image of a tar that is not compressed is given a link to it. ``hash_raw``:
    whether the digest of the bytes as they come is wanted.
    ``known``: the digest of ``source``, when that is a tar that is not compressed and was verified: then it need not be
    read but for its headers, for an image.
    """

    target: str = ""
    raw: str = ""
    plain: str = ""
    hash_raw: bool = False
    devices: bool = True
    limits: Limits = Limits()
    source: str = ""
    known: str = ""


class Compress(msgspec.Struct, frozen=True, tag=True):
    """Write the tar ``source`` to the new file ``target`` as gzip."""

    source: str
    target: str


class Spool(msgspec.Struct, frozen=True, tag=True):
    """Read the second descriptor (a tar of images, compressed or not) and write each file in it to ``directory``."""

    directory: str
    limits: Limits = Limits()


class Remove(msgspec.Struct, frozen=True, tag=True):
    """Remove these directories and all that is in them; those that are missing are passed over."""

    paths: list[str]


class Check(msgspec.Struct, frozen=True):
    """Whether the file ``path`` has this digest; or, for the directory of a layer's image, the tar in it, and whether
    the index beside it is what the tar says.
    """

    path: str
    digest: str


class Verify(msgspec.Struct, frozen=True, tag=True):
    """Read all of these."""

    checks: list[Check]


class Compare(msgspec.Struct, frozen=True, tag=True):
    """What the directory ``upper`` changes of the layers ``lower``, uppermost first, once ``staged`` is mounted."""

    lower: list[str]
    upper: str
    staged: list[Staged] = msgspec.field(default_factory=list)


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


class PackLayer(msgspec.Struct, frozen=True, tag=True):
    """Write what an overlay's upper directory says as a layer, a tar, to the new file ``target``.

    ``staged``: what that directory lies on.
    """

    upper: str
    target: str
    staged: list[Staged] = msgspec.field(default_factory=list)


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
    """Read the contents that a list was found to lack from the second descriptor, append them to ``data``, note where
    they are in ``known``, and write the context's index.
    """

    known: str
    listing: str
    index: str
    data: str


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
    for paths below what is copied. ``parents``: keep the directories from component ``pivot`` of the path on.
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


class Selection(msgspec.Struct, frozen=True):
    """What a COPY or ADD puts where. ``destination``: absolute and cleaned; ``directory``: it ended with a slash.

    ``owner``: ``user[:group]``, or empty for root. ``mode``: octal or symbolic, or empty. ``keep_owner``: as the source
    has it, where ``owner`` is empty.
    """

    sources: list[Source]
    destination: str
    directory: bool = False
    owner: str = ""
    mode: str = ""
    keep_owner: bool = False


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
    """The content of a file in layers, at most ``limit`` bytes of it; nothing when it is not there."""

    lower: list[str]
    path: str
    limit: int


class Bind(msgspec.Struct, frozen=True):
    """A file or directory of the host that a container sees at ``destination``."""

    source: str
    destination: str
    writable: bool = True


class View(msgspec.Struct, frozen=True):
    """A container's files. ``entered``: a descriptor of its mount namespace is sent along, as the last one.

    Otherwise it is mounted at ``root``, in a namespace that goes with the job. ``lower``: uppermost first. ``staged``:
    what sources of binds lie on.
    """

    entered: bool
    lower: list[str]
    upper: str
    work: str
    root: str
    binds: list[Bind] = msgspec.field(default_factory=list)
    read_only: bool = False
    staged: list[Staged] = msgspec.field(default_factory=list)


class Populate(msgspec.Struct, frozen=True, tag=True):
    """Copy what an image has at ``path`` into a volume that is empty. ``lower``: the image's layers, uppermost first.

    ``target``: the volume's directory, once ``staged`` is mounted, or empty: only look whether there is anything.
    ``replaces``: a full directory may take its place.
    """

    lower: list[str]
    path: str
    target: str
    staged: list[Staged] = msgspec.field(default_factory=list)
    replaces: bool = False


class GrowDisk(msgspec.Struct, frozen=True, tag=True):
    """Have the file system at ``place``, once ``staged`` is mounted, take up ``size`` bytes of its device."""

    staged: list[Staged]
    place: str
    size: int


class CopyDisk(msgspec.Struct, frozen=True, tag=True):
    """Copy all that is at ``place`` to the empty directory ``target``, once ``staged`` is mounted, and sync it."""

    staged: list[Staged]
    place: str
    target: str


class Export(msgspec.Struct, frozen=True, tag=True):
    """Write the whole root as a tar to the second descriptor, without what is mounted below it."""

    view: View


class Look(msgspec.Struct, frozen=True, tag=True):
    """What there is at a path. ``path``: from the root, cleaned; a final slash or dot follows a last link."""

    view: View
    path: str


class CopyOut(msgspec.Struct, frozen=True, tag=True):
    """Write the path, and what is below it, as a tar to the second descriptor. ``name``: of its root, or as it is."""

    view: View
    path: str
    name: str = ""


class CopyIn(msgspec.Struct, frozen=True, tag=True):
    """Unpack the tar of the second descriptor, compressed or not, in the directory ``path``.

    ``same_kind``: a directory and something else do not replace each other. ``owner``: ``user[:group]`` that everything
    is given to, or empty to keep what the archive says.
    """

    view: View
    path: str
    same_kind: bool = False
    owner: str = ""
    limits: Limits = Limits()


class Browse(msgspec.Struct, frozen=True, tag=True):
    """What there is at a path, and when it is a directory what is in it."""

    view: View
    path: str


Job = (
    TreeJob
    | Browse
    | Populate
    | GrowDisk
    | CopyDisk
    | Unpack
    | Verify
    | Compress
    | Spool
    | Remove
    | Compare
    | ListFiles
    | CompareStacks
    | FindWaste
    | PackLayer
    | Export
    | Look
    | CopyOut
    | CopyIn
    | PackStep
    | ReceiveContext
    | Select
    | CopyStep
    | Squash
    | ReadFile
    | ListContext
    | FillContext
)


class Progress(msgspec.Struct, frozen=True, tag=True):
    """``read``: bytes of input so far."""

    read: int


class UnpackDone(msgspec.Struct, frozen=True, tag=True):
    """Digests are ``sha256:…``; ``raw_digest`` is empty unless it was asked for; sizes in bytes.

    ``target``: where it was unpacked, which is another directory when the tar does not suit an image.
    """

    raw_digest: str
    raw_size: int
    diff_id: str
    plain_size: int
    entries: int
    size: int
    target: str


class CompressDone(msgspec.Struct, frozen=True, tag=True):
    """``digest`` and ``size`` of what was written."""

    digest: str
    size: int


class Member(msgspec.Struct, frozen=True):
    """A file or link of a spooled archive. ``name``: cleaned. ``link``: what it leads to, or empty for a file."""

    name: str
    file: str = ""
    size: int = 0
    digest: str = ""
    link: str = ""


class SpoolDone(msgspec.Struct, frozen=True, tag=True):
    members: list[Member]


class Flaw(msgspec.Struct, frozen=True):
    """``path``: the file that is not what it should be. ``check``: the path that was asked about."""

    check: str
    path: str
    problem: str


class VerifyDone(msgspec.Struct, frozen=True, tag=True):
    """``read``: bytes."""

    flaws: list[Flaw]
    read: int


class RemoveDone(msgspec.Struct, frozen=True, tag=True):
    pass


class Difference(msgspec.Struct, frozen=True):
    """``kind``: 0 modified, 1 added, 2 deleted."""

    path: str
    kind: int


class CompareDone(msgspec.Struct, frozen=True, tag=True):
    differences: list[Difference]


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


class PackLayerDone(msgspec.Struct, frozen=True, tag=True):
    """``diff_id``: ``sha256:…``. ``size``: bytes of the tar."""

    diff_id: str
    size: int


class LookDone(msgspec.Struct, frozen=True, tag=True):
    """``mode``: as the kernel has it. ``mtime``: nanoseconds. ``target``: of a link, resolved as far as it goes."""

    name: str
    size: int
    mode: int
    mtime: int
    target: str = ""


class PopulateDone(msgspec.Struct, frozen=True, tag=True):
    """``found``: the image has a directory there."""

    found: bool


class CopyDone(msgspec.Struct, frozen=True, tag=True):
    pass


class ReceiveContextDone(msgspec.Struct, frozen=True, tag=True):
    """``size`` in bytes, of all files. ``digest``: of their names, kinds, owners and contents; not of their times."""

    entries: int
    size: int
    digest: str = ""


class ReadFileDone(msgspec.Struct, frozen=True, tag=True):
    content: bytes


class ListContextDone(msgspec.Struct, frozen=True, tag=True):
    """``size`` in bytes, of all files. ``missing``: the files of the list, counted from 0, whose contents lack."""

    entries: int
    size: int
    missing: list[int]


class SelectDone(msgspec.Struct, frozen=True, tag=True):
    """``digest``: ``sha256:…``, the same whenever the same would be copied. ``entries``: how many are copied."""

    digest: str
    entries: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """``kind``: InvalidArgument (the input is to blame, not the machine), NotFound, Forbidden, NoSpace or Internal."""

    message: str
    kind: str

    @classmethod
    def of(cls, error: CoveError) -> "Failed":
        return cls(error.message, next((name for name, kind in _KINDS.items() if isinstance(error, kind)), "Internal"))

    def error(self) -> CoveError:
        return _KINDS[self.kind](self.message)


_KINDS: dict[str, type[CoveError]] = {
    "InvalidArgument": InvalidArgument,
    "NotFound": NotFound,
    "Forbidden": Forbidden,
    "NoSpace": NoSpace,
    "Internal": Internal,
}


class Found(msgspec.Struct, frozen=True):
    """``mode``: as the kernel has it. ``mtime``: nanoseconds. ``target``: of a link, as it is."""

    name: str
    size: int
    mode: int
    mtime: int
    uid: int
    gid: int
    target: str = ""


class BrowseDone(msgspec.Struct, frozen=True, tag=True):
    found: list[Found]


Done = (
    TreeDone
    | BrowseDone
    | PopulateDone
    | UnpackDone
    | VerifyDone
    | CompressDone
    | SpoolDone
    | RemoveDone
    | CompareDone
    | ListFilesDone
    | StacksCompared
    | WasteFound
    | PackLayerDone
    | LookDone
    | CopyDone
    | ReceiveContextDone
    | SelectDone
    | ReadFileDone
    | ListContextDone
)
Reply = Progress | Done | Failed
