"""What happens while a graph is solved, as it happens: the classic stream and the live display are made of this."""

from collections.abc import Callable
from dataclasses import dataclass

from cove.build.planning.graph import LayerRef, Result, Vertex
from cove.build.planning.recipe import BuiltStage, Recipe, Step
from cove.dockerfile.checks import Finding


@dataclass(frozen=True)
class Planned:
    """What is going to be built, one recipe for each platform. Comes once, before the first vertex."""

    recipes: tuple[Recipe, ...]


@dataclass(frozen=True)
class Started:
    """``at``: nanoseconds since the epoch. ``container``: of a RUN, the id of its container, else empty."""

    vertex: Vertex
    at: int
    container: str = ""


@dataclass(frozen=True)
class Logged:
    """Output of a RUN: ``stream`` is 1 or 2."""

    vertex: Vertex
    stream: int
    data: bytes


@dataclass(frozen=True)
class Explained:
    """Why a step was found in the cache, or not. ``reasons``: what differs from the nearest record.

    ``step``: a vertex, or a step without files.
    """

    step: Vertex | Step
    hit: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Finished:
    """``layer``: of its own, if it changed files. ``created``: nanoseconds since the epoch."""

    vertex: Vertex
    at: int
    result: Result
    cached: bool
    layer: LayerRef | None = None
    created: int = 0
    files: str = ""


@dataclass(frozen=True)
class Failed:
    """``error``: for people."""

    vertex: Vertex
    at: int
    error: str


@dataclass(frozen=True)
class Stepped:
    """A step of a recipe is done, and all before it. ``index``: of the step in its stage; -1 is the FROM.

    ``image``: the id of the image that it makes. ``cached``: nothing had to be done.
    """

    stage: BuiltStage
    index: int
    image: str
    cached: bool


@dataclass(frozen=True)
class Noted:
    """A piece of work that is no vertex: a pull, an export. ``name`` tells them apart; ``done`` at its end."""

    name: str
    status: str = ""
    done: bool = False
    current: int = 0
    total: int = 0


@dataclass(frozen=True)
class Checked:
    """What the checks of the Dockerfile have found, before anything is built. ``name``, ``source``: of the file."""

    findings: tuple[Finding, ...]
    name: str
    source: str


Event = Checked | Planned | Started | Logged | Explained | Finished | Failed | Stepped | Noted
Listener = Callable[[Event], None]
