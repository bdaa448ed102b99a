"""The trash: an extension of ours, which no client of Docker asks for."""

from typing import ClassVar

from msgspec import field

from cove.wire.base import Wire


class Trashed(Wire):
    """``removed`` and ``expires``: RFC 3339. ``size`` in bytes, None until it is measured. ``volumes``: their names."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"size"})

    id: str
    kind: str
    name: str
    image: str = ""
    removed: str = ""
    expires: str = ""
    size: int | None = None
    volumes: list[str] = field(default_factory=list)


class Restored(Wire):
    id: str
    name: str
    warnings: list[str] = field(default_factory=list)


class TrashEmptied(Wire):
    """``space_reclaimed`` in bytes, as far as it was measured."""

    deleted: list[str] = field(default_factory=list)
    space_reclaimed: int = 0
