"""Why a container is as it is: an extension of ours. Times: RFC 3339, empty for never. Sizes in bytes."""

from typing import ClassVar

from msgspec import field

from cove.wire.base import Wire
from cove.wire.containers import HealthcheckResult


class MemoryUse(Wire):
    """Of the run that was last. ``kills``: processes killed for want of memory; ``peak`` and ``limit``: 0 unknown."""

    limit: int = 0
    peak: int = 0
    kills: int = 0


class RunReport(Wire):
    """One run that has ended. ``good``: it ended with 0, or because a user asked for it."""

    started_at: str
    finished_at: str
    exit_code: int
    oom_killed: bool = field(name="OOMKilled", default=False)
    error: str = ""
    good: bool = False


class Difference(Wire):
    """Something that is not as it was when the last good run ended."""

    what: str
    before: str
    now: str


class Dependent(Wire):
    """A container that needs this one. ``how``: ``network``, ``ipc``, ``pid``, ``volumes``, ``link``, ``compose``."""

    id: str
    name: str
    how: str
    status: str = ""


class Why(Wire):
    """``summary``: one sentence. ``explanation``: what there is to say beside it. ``removed``: it is in the trash.

    ``runs``: of containers of this name, the newest first. ``logs``: the last lines that it wrote.
    """

    omit_empty: ClassVar[frozenset[str]] = frozenset({"probe", "memory"})

    id: str
    name: str
    image: str
    status: str
    removed: bool
    summary: str
    explanation: list[str] = field(default_factory=list)
    exit_code: int = 0
    signal: str = ""
    error: str = ""
    started_at: str = ""
    finished_at: str = ""
    memory: MemoryUse | None = None
    probe: HealthcheckResult | None = None
    restart_policy: str = "no"
    restart_count: int = 0
    runs: list[RunReport] = field(default_factory=list)
    changes: list[Difference] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    dependents: list[Dependent] = field(default_factory=list)
