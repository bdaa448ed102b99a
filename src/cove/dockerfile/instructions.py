"""The instructions of a Dockerfile as types, one for each, before variables are replaced in them.

Words are as they are written, with quotes, escapes and variables; ``cove.dockerfile.expansion`` makes values of them.
"""

from dataclasses import dataclass

from cove.dockerfile.failure import Location
from cove.dockerfile.heredocs import Heredoc
from cove.dockerfile.mounts import Device, Mount
from cove.dockerfile.splitting import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What every instruction has."""

    keyword: str
    """As it is written: ``RUN``, ``run``."""
    code: str
    """The logical line, without here-documents."""
    location: Location
    comments: tuple[str, ...] = ()
    """The comments right before it, without ``#``."""

    @property
    def name(self) -> str:
        """The keyword in capitals."""
        return self.keyword.upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    """``FROM [--platform=…] image [AS stage]``."""

    image: str
    stage: str = ""
    """The stage's name in lower case, or nothing."""
    stage_as_written: str = ""
    as_keyword: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Argument:
    """A name that ARG declares, with its default, which may be empty or not there.

    After expansion ``default`` is the value that it has, and ``declared`` what the Dockerfile says.
    """

    name: str
    default: str | None = None
    declared: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    """``ARG name[=default] …``."""

    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    """``ENV name=value …`` or ``ENV name value``."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    """``LABEL name=value …``."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    """``MAINTAINER name``, deprecated."""

    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Instruction):
    """What RUN, CMD and ENTRYPOINT have: words of the exec form, or one string for a shell."""

    words: tuple[str, ...]
    shell: bool
    """Whether it is the shell form."""
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Command):
    """``RUN [--mount=…] [--network=…] [--security=…] [--device=…] command``."""

    mount_flags: tuple[str, ...] = ()
    """The values of ``--mount``; variables in them are replaced, so ``mounts`` is only there after expansion."""
    mount_sources: tuple[str, ...] = ()
    """The ``from=`` of each mount, or nothing; no variables are allowed in them."""
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Command):
    """``CMD command``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Command):
    """``ENTRYPOINT command``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Instruction):
    """What COPY and ADD have."""

    sources: tuple[str, ...]
    """Paths, patterns and, for ADD, URLs."""
    contents: tuple[Heredoc, ...] = ()
    """Files that are here-documents, named by them."""
    destination: str
    chown: str = ""
    chmod: str = ""
    link: bool = False
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Transfer):
    """``COPY [--from=…] … source … destination``."""

    origin: str = ""
    """The stage, context or image of ``--from``, or nothing for the build context."""
    parents: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Transfer):
    """``ADD [--checksum=…] … source … destination``."""

    checksum: str = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None
    """Whether archives are unpacked; None is for local ones only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    """``WORKDIR path``."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    """``USER user[:group]``."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    """``EXPOSE port[-port][/protocol] …``; ``cove.dockerfile.ports`` reads them."""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    """``VOLUME path …``."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    """``SHELL ["program", "argument"]``."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignal(Instruction):
    """``STOPSIGNAL signal``."""

    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck(Instruction):
    """``HEALTHCHECK [options] CMD command`` or ``HEALTHCHECK NONE``; times in nanoseconds, 0 for the default."""

    test: tuple[str, ...]
    """``NONE``, or ``CMD`` with words, or ``CMD-SHELL`` with a string, as in the image's configuration."""
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Onbuild(Instruction):
    """``ONBUILD instruction``: kept in the image, done when another is built from it."""

    trigger: str
    """The instruction, with its here-documents."""
