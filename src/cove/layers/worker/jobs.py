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
from cove.layers.tar.reader import Limits
from cove.layers.worker.build_jobs import BuildDone, BuildJob
from cove.layers.worker.looking_jobs import LookingDone, LookingJob
from cove.layers.worker.staging import Staged
from cove.layers.worker.tree_jobs import TreeDone, TreeJob

CONTROL = 3
"""The worker's descriptor of the socket that jobs come by."""
LOCK = 4
"""Its descriptor of the file that is locked while it lives, and its children do."""


class Unpack(msgspec.Struct, frozen=True, tag=True):
    """Read the second descriptor (a tar, compressed or not) to its end.

    ``target``: directory to make and unpack into, or, when its name is one of ``kernel.layer_images``, to make an image
    in; or empty. ``raw``, ``plain``: files to write the bytes to as they come, and decompressed; or empty. ``source``:
    the file that is read, or empty: an image of a tar that is not compressed is given a link to it. ``hash_raw``:
    the algorithm of the digest that is wanted of the bytes as they come, or empty.
    ``known``: the digest of ``source``, when that is a tar that is not compressed and was verified: then it need not be
    read but for its headers, for an image.
    """

    target: str = ""
    raw: str = ""
    plain: str = ""
    hash_raw: str = ""
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
    the index beside it is what the tar says; or whether a layer's directory is as ``fresh``, which was just unpacked.
    """

    path: str
    digest: str
    fresh: str = ""


class Verify(msgspec.Struct, frozen=True, tag=True):
    """Read all of these."""

    checks: list[Check]


class Compare(msgspec.Struct, frozen=True, tag=True):
    """Write what the directory ``upper`` changes of the layers ``lower``, uppermost first, once ``staged`` is mounted.

    To the second descriptor: a ``Difference`` in each line, as JSON.
    """

    lower: list[str]
    upper: str
    staged: list[Staged] = msgspec.field(default_factory=list)


class PackLayer(msgspec.Struct, frozen=True, tag=True):
    """Write what an overlay's upper directory says as a layer, a tar, to the new file ``target``.

    ``staged``: what that directory lies on.
    """

    upper: str
    target: str
    staged: list[Staged] = msgspec.field(default_factory=list)


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
    | LookingJob
    | BuildJob
    | Browse
    | Populate
    | GrowDisk
    | Unpack
    | Verify
    | Compress
    | Spool
    | Remove
    | Compare
    | PackLayer
    | Export
    | Look
    | CopyOut
    | CopyIn
)


class Progress(msgspec.Struct, frozen=True, tag=True):
    """``read``: bytes of input so far."""

    read: int


class UnpackDone(msgspec.Struct, frozen=True, tag=True):
    """Digests are ``sha256:…``, but for ``raw_digest``, which is empty unless it was asked for; sizes in bytes.

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
    pass


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
    | LookingDone
    | BuildDone
    | BrowseDone
    | PopulateDone
    | UnpackDone
    | VerifyDone
    | CompressDone
    | SpoolDone
    | RemoveDone
    | CompareDone
    | PackLayerDone
    | LookDone
    | CopyDone
)
Reply = Progress | Done | Failed
