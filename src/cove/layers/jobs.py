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

from cove.errors import CoveError, Forbidden, Internal, InvalidArgument, NotFound
from cove.layers.tar import Limits

CONTROL = 3
"""The worker's descriptor of the socket that jobs come by."""


class Unpack(msgspec.Struct, frozen=True, tag=True):
    """Read the second descriptor (a tar, compressed or not) to its end.

    ``target``: directory to make and unpack into, or, when its name is one of ``kernel.layer_images``, to make an image
    in; or empty. ``raw``, ``plain``: files to write the bytes to as they come, and decompressed; or empty. ``source``:
    the file that is read, or empty: an image of a tar that is not compressed is given a link to it. ``hash_raw``:
    whether the digest of the bytes as they come is wanted.
    """

    target: str = ""
    raw: str = ""
    plain: str = ""
    hash_raw: bool = False
    devices: bool = True
    limits: Limits = Limits()
    source: str = ""


class Spool(msgspec.Struct, frozen=True, tag=True):
    """Read the second descriptor (a tar of images, compressed or not) and write each file in it to ``directory``."""

    directory: str
    limits: Limits = Limits()


class Remove(msgspec.Struct, frozen=True, tag=True):
    """Remove these directories and all that is in them; those that are missing are passed over."""

    paths: list[str]


class Compare(msgspec.Struct, frozen=True, tag=True):
    """What the directory ``upper`` changes of the layers ``lower``, uppermost first."""

    lower: list[str]
    upper: str


class PackLayer(msgspec.Struct, frozen=True, tag=True):
    """Write what an overlay's upper directory says as a layer, a tar, to the new file ``target``."""

    upper: str
    target: str


class Bind(msgspec.Struct, frozen=True):
    """A file or directory of the host that a container sees at ``destination``."""

    source: str
    destination: str
    writable: bool = True


class View(msgspec.Struct, frozen=True):
    """A container's files. ``entered``: a descriptor of its mount namespace is sent along, as the last one.

    Otherwise it is mounted at ``root``, in a namespace that goes with the job. ``lower``: uppermost first.
    """

    entered: bool
    lower: list[str]
    upper: str
    work: str
    root: str
    binds: list[Bind] = msgspec.field(default_factory=list)
    read_only: bool = False


class Export(msgspec.Struct, frozen=True, tag=True):
    """Write the whole root as a tar to the second descriptor, without what is mounted below it."""

    view: View


class Look(msgspec.Struct, frozen=True, tag=True):
    """What there is at a path. ``path``: from the root, cleaned; a final slash or dot follows a last link."""

    view: View
    path: str


class CopyOut(msgspec.Struct, frozen=True, tag=True):
    """Write the path, and what is below it, as a tar to the second descriptor."""

    view: View
    path: str


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


Job = Unpack | Spool | Remove | Compare | PackLayer | Export | Look | CopyOut | CopyIn


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


class Member(msgspec.Struct, frozen=True):
    """A file or link of a spooled archive. ``name``: cleaned. ``link``: what it leads to, or empty for a file."""

    name: str
    file: str = ""
    size: int = 0
    digest: str = ""
    link: str = ""


class SpoolDone(msgspec.Struct, frozen=True, tag=True):
    members: list[Member]


class RemoveDone(msgspec.Struct, frozen=True, tag=True):
    pass


class Difference(msgspec.Struct, frozen=True):
    """``kind``: 0 modified, 1 added, 2 deleted."""

    path: str
    kind: int


class CompareDone(msgspec.Struct, frozen=True, tag=True):
    differences: list[Difference]


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


class CopyDone(msgspec.Struct, frozen=True, tag=True):
    pass


class Failed(msgspec.Struct, frozen=True, tag=True):
    """``kind``: InvalidArgument (the input is to blame, not the machine), NotFound, Forbidden or Internal."""

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
    "Internal": Internal,
}

Done = UnpackDone | SpoolDone | RemoveDone | CompareDone | PackLayerDone | LookDone | CopyDone
Reply = Progress | Done | Failed
