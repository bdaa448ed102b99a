"""Builds: the parameters of ``POST /build``, and the build cache."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from msgspec import field as wire_field

from cove.wire.base import Wire
from cove.wire.host_config import Ulimit
from cove.wire.images import AuthConfig


@dataclass(frozen=True)
class BuildOptions:
    """The query of ``POST /build``. Memory in bytes (``memory_swap``: -1 is no bound), periods in microseconds.

    ``events``: ours, the client wants to be told of every event in place of the classic stream. ``dialect``: ours,
    ``buildkit`` words the history and treats owners as BuildKit does. ``debug``: ours, make an image of what a
    failed step left. ``build``: ours, an id by which the client lends secrets. ``vcs``: ours, what provenance says of
    the repository that the context is from. ``stored_as``: ours, what the image is called here in place of its names,
    because the client writes it elsewhere and then removes it.
    """

    dockerfile: str = "Dockerfile"
    tags: tuple[str, ...] = ()
    remote: str = ""
    quiet: bool = False
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[Mapping[str, str], ...] = ()
    pull: bool = False
    remove: bool = True
    force_remove: bool = False
    memory: int = 0
    memory_swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    cgroup_parent: str = ""
    shm_size: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    network: str = ""
    extra_hosts: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    isolation: str = ""
    arguments: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    target: str = ""
    squash: bool = False
    outputs: tuple[Mapping[str, str], ...] = ()
    auths: Mapping[str, AuthConfig] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    attestations: Mapping[str, str] = field(default_factory=dict)
    vcs: Mapping[str, str] = field(default_factory=dict)
    events: bool = False
    dialect: str = ""
    debug: bool = False
    build: str = ""
    stored_as: str = ""


class BuildCacheRecord(Wire):
    """One record of the build cache. ``created_at``, ``last_used_at``: RFC 3339. ``size`` in bytes."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"parents"})

    id: str = wire_field(name="ID")
    parents: list[str] | None = None
    type: str = "regular"
    description: str = ""
    in_use: bool = False
    shared: bool = False
    size: int = 0
    created_at: str = ""
    last_used_at: str | None = None
    usage_count: int = 0


class CacheMountsImported(Wire):
    """Ours: how many cache mounts got the files of an archive."""

    mounts: int = 0


class BuildCachePruned(Wire):
    """``space_reclaimed`` in bytes."""

    caches_deleted: list[str] | None = None
    space_reclaimed: int = 0
