"""Volumes."""

from typing import Any, ClassVar

from cove.wire.base import Wire


class UsageData(Wire):
    """``size`` in bytes and ``ref_count``; -1 is not known."""

    size: int = -1
    ref_count: int = -1


class Volume(Wire):
    """``created_at``: RFC 3339. ``mountpoint``: a path on the host."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"created_at", "status", "usage_data"})

    created_at: str = ""
    driver: str = "local"
    labels: dict[str, str] | None = None
    mountpoint: str = ""
    name: str = ""
    options: dict[str, str] | None = None
    scope: str = "local"
    status: dict[str, Any] | None = None
    usage_data: UsageData | None = None


class VolumeCreate(Wire):
    """Body of ``POST /volumes/create``. An empty name is made up."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class VolumeResize(Wire):
    """Body of ``POST /cove/volumes/{name}/resize``, ours. ``size``: bytes."""

    size: int = 0


class VolumeList(Wire):
    volumes: list[Volume]
    warnings: list[str] | None = None


class VolumesPruned(Wire):
    """``space_reclaimed`` in bytes."""

    volumes_deleted: list[str] | None = None
    space_reclaimed: int = 0
