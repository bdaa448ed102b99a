"""What can be asked of the solver: operations, and the graph that they make. Pure.

A vertex is one operation with the vertices that it takes its inputs from. Its result is a ``Root``, layers on top of
each other, or a ``Context``, which may be only ``Promised``. Equal vertices of one graph are one object, so that
nothing is done twice.
"""

from dataclasses import dataclass, field

import msgspec

from cove.build.solving.running import Limits, WantedDevice
from cove.digest import chain_ids
from cove.oci.image import Descriptor
from cove.urls import without_user


class LayerRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """A layer: its blob, the digest of its tar, and its unpacked size in bytes (-1: not known)."""

    blob: Descriptor
    diff_id: str
    size: int = -1


class Root(msgspec.Struct, frozen=True):
    """A file system. ``layers``: lowest first."""

    layers: tuple[LayerRef, ...] = ()

    @property
    def diff_ids(self) -> list[str]:
        return [layer.diff_id for layer in self.layers]

    @property
    def chain_ids(self) -> list[str]:
        """Of each layer, lowest first."""
        return chain_ids(self.diff_ids)

    @property
    def chain_id(self) -> str:
        """Names the whole; ``scratch`` when there is nothing."""
        return self.chain_ids[-1] if self.layers else "scratch"


class Origin(msgspec.Struct, frozen=True):
    """Where files were fetched. ``digest``: of the file that was there, or of the commit, with its algorithm."""

    url: str
    digest: str = ""

    @classmethod
    def of(cls, url: str, digest: str = "") -> "Origin":
        """Without the user, password or token that a URL may have."""
        return cls(without_user(url), digest)


class Context(msgspec.Struct, frozen=True):
    """Files of the client's. ``tar``, ``index``: see ``layers.builds.context``. ``digest``: names them, or is empty.

    ``origin``: where they were fetched, if they were.
    """

    tar: str
    index: str
    digest: str = ""
    origin: Origin | None = None


@dataclass(frozen=True)
class Remote:
    """A file by URL or a git repository, which ADD fetches. The result is a Context with it at ``name``."""

    url: str
    checksum: str = ""
    keep_git_dir: bool = False


@dataclass(frozen=True)
class Promised:
    """A context that is fetched when somebody reads it. ``digest``: names it, as ``Context.digest`` would."""

    remote: Remote
    digest: str


Result = Root | Context | Promised


@dataclass(frozen=True)
class Given:
    """A result that is there already: a base image's layers, ``scratch``, or a context."""

    result: Result
    identity: str
    """What it is, for cache keys: a digest, or a name."""


@dataclass(frozen=True)
class MountOption:
    """One mount of a RUN. ``input``: number of the vertex's input for bind and cache from elsewhere, else -1."""

    type: str
    target: str
    input: int = -1
    source: str = ""
    readonly: bool = False
    id: str = ""
    sharing: str = "shared"
    required: bool = False
    env: str | None = None
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    size: int = 0


@dataclass(frozen=True)
class Run:
    """A program over the root of the first input. ``unkeyed``: variables that change nothing, such as proxies.

    ``arguments_used``: names in ``environment`` that are build arguments, for explanations.
    """

    arguments: tuple[str, ...]
    environment: tuple[str, ...]
    directory: str
    user: str
    limits: Limits
    mounts: tuple[MountOption, ...] = ()
    network: str = "default"
    insecure: bool = False
    unkeyed: tuple[str, ...] = ()
    arguments_used: tuple[str, ...] = ()
    extra_files: tuple[tuple[str, bytes], ...] = ()
    devices: tuple[WantedDevice, ...] = ()


@dataclass(frozen=True)
class CopySource:
    """What a copy takes of an input, or a file that is given. See ``layers.worker.build_jobs.Source``."""

    input: int = -1
    path: str = ""
    expression: str = ""
    pivot: int = 0
    unpack: bool = False
    name: str = ""
    content: bytes | None = None
    optional: bool = False


@dataclass(frozen=True)
class CopyFiles:
    """Files into the root of the first input. ``link``: in a layer of their own, whatever is below.

    ``replaces``: see ``layers.worker.build_jobs.Selection``.
    """

    sources: tuple[CopySource, ...]
    destination: str
    directory: bool
    owner: str = ""
    mode: str = ""
    keep_owner: bool = False
    parents: bool = False
    excludes: tuple[tuple[str, bool], ...] = ()
    link: bool = False
    replaces: bool = False


@dataclass(frozen=True)
class MakeDirectory:
    """A directory in the root of the first input, unless it is there."""

    path: str
    owner: str = ""


Operation = Given | Remote | Run | CopyFiles | MakeDirectory


@dataclass(frozen=True, eq=False)
class Vertex:
    """``name``: for people: ``[build 2/5] RUN make``. ``instruction``: the words of the Dockerfile.

    ``stage``: what ``--no-cache-filter`` names. ``platform``: what it runs for.
    """

    operation: Operation
    inputs: tuple["Vertex", ...] = ()
    name: str = ""
    instruction: str = ""
    stage: str = ""
    platform: str = ""
    internal: bool = False
    comment: str = field(default="", compare=False)
