"""What is in registries."""

from typing import Any, NamedTuple

from cove.wire.base import Wire


class DistributionInspect(Wire):
    """``descriptor``: of what a name stands for. ``platforms``: what there is for."""

    descriptor: dict[str, Any]
    platforms: list[dict[str, Any]]


class Manifest(NamedTuple):
    """A manifest or index as it is at a registry: ``body`` is JSON, named by ``digest``."""

    media_type: str
    digest: str
    body: bytes
