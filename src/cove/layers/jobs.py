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

from cove.errors import CoveError, Internal, InvalidArgument
from cove.layers.tar import Limits

CONTROL = 3
"""The worker's descriptor of the socket that jobs come by."""


class Unpack(msgspec.Struct, frozen=True, tag=True):
    """Read the second descriptor (a tar, compressed or not) to its end.

    ``target``: directory to make and unpack into, or empty. ``raw``, ``plain``: files to write the bytes to as they
    come, and decompressed; or empty. ``hash_raw``: whether the digest of the bytes as they come is wanted.
    """

    target: str = ""
    raw: str = ""
    plain: str = ""
    hash_raw: bool = False
    devices: bool = True
    limits: Limits = Limits()


class Spool(msgspec.Struct, frozen=True, tag=True):
    """Read the second descriptor (a tar of images, compressed or not) and write each file in it to ``directory``."""

    directory: str
    limits: Limits = Limits()


class Remove(msgspec.Struct, frozen=True, tag=True):
    """Remove these directories and all that is in them; those that are missing are passed over."""

    paths: list[str]


Job = Unpack | Spool | Remove


class Progress(msgspec.Struct, frozen=True, tag=True):
    """``read``: bytes of input so far."""

    read: int


class UnpackDone(msgspec.Struct, frozen=True, tag=True):
    """Digests are ``sha256:…``; ``raw_digest`` is empty unless it was asked for; sizes in bytes."""

    raw_digest: str
    raw_size: int
    diff_id: str
    plain_size: int
    entries: int
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


class RemoveDone(msgspec.Struct, frozen=True, tag=True):
    pass


class Failed(msgspec.Struct, frozen=True, tag=True):
    """``invalid``: the input is to blame, not the machine."""

    message: str
    invalid: bool

    @classmethod
    def of(cls, error: CoveError) -> "Failed":
        return cls(error.message, isinstance(error, InvalidArgument))

    def error(self) -> CoveError:
        return InvalidArgument(self.message) if self.invalid else Internal(self.message)


Done = UnpackDone | SpoolDone | RemoveDone
Reply = Progress | Done | Failed
