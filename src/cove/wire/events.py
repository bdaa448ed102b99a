"""Events."""

from typing import ClassVar

from msgspec import field

from cove.wire.base import Wire


class Actor(Wire):
    """``id``: of the object. ``attributes``: its labels, and what the action adds (``exitCode``, ``name``)."""

    id: str = field(name="ID", default="")
    attributes: dict[str, str] = field(default_factory=dict)


class Event(Wire):
    """One thing that happened. ``time``: seconds, ``time_nano``: nanoseconds since the epoch.

    ``status``, ``id`` and ``origin`` repeat action, actor and image for containers and images, for old clients.
    """

    omit_empty: ClassVar[frozenset[str]] = frozenset({"status", "id", "origin"})

    status: str = field(name="status", default="")
    id: str = field(name="id", default="")
    origin: str = field(name="from", default="")
    type: str = ""
    action: str = ""
    actor: Actor = field(default_factory=Actor)
    scope: str = field(name="scope", default="local")
    time: int = field(name="time", default=0)
    time_nano: int = field(name="timeNano", default=0)
