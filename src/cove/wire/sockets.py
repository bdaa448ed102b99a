"""Further sockets of the API that can do a part of it only; an extension of ours."""

from typing import ClassVar

from msgspec import field

from cove.wire.base import Wire


class SocketCreate(Wire):
    """Body of ``POST /cove/sockets/create``. ``allow``: ``METHOD /path`` patterns, none is all; ``deny``: words;
    ``labels``: what objects must have; ``group``: who may use it, by name or number, root alone when empty.
    """

    name: str = ""
    allow: list[str] | None = None
    deny: list[str] | None = None
    labels: dict[str, str] | None = None
    group: str = ""


class ApiSocket(Wire):
    """``path``: of the unix socket. ``created``: RFC 3339."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"group"})

    name: str = ""
    allow: list[str] = field(default_factory=list)
    deny: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    group: str = ""
    path: str = ""
    created: str = ""
