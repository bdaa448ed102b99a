"""Images."""

from typing import Any, ClassVar

from msgspec import field

from cove.wire.base import Wire


class ImageSummary(Wire):
    """One line of ``docker images``. ``created``: seconds since the epoch. Sizes in bytes; -1 is not counted."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"descriptor", "manifests"})

    id: str
    parent_id: str = field(name="ParentId", default="")
    repo_tags: list[str] | None = None
    repo_digests: list[str] | None = None
    created: int = 0
    size: int = 0
    shared_size: int = -1
    labels: dict[str, str] | None = None
    containers: int = -1
    descriptor: dict[str, Any] | None = None
    manifests: list[Any] | None = None


class DriverData(Wire):
    """Where a storage driver keeps an image or container."""

    data: dict[str, str] | None = None
    name: str = ""


class RootFS(Wire):
    """``layers``: diff ids, lowest first."""

    type: str = "layers"
    layers: list[str] | None = None


class ImageMetadata(Wire):
    """``last_tag_time``: RFC 3339."""

    last_tag_time: str = "0001-01-01T00:00:00Z"


class ImageInspect(Wire):
    """``created``: RFC 3339. ``size`` in bytes, of all unpacked layers. ``config``: the image's own."""

    omit_empty: ClassVar[frozenset[str]] = frozenset(
        {"variant", "os_version", "created", "descriptor", "manifests", "identity"}
    )

    id: str
    repo_tags: list[str] = field(default_factory=list)
    repo_digests: list[str] = field(default_factory=list)
    parent: str = ""
    comment: str = ""
    created: str = ""
    docker_version: str = ""
    author: str = ""
    config: dict[str, Any] | None = None
    architecture: str = ""
    variant: str = ""
    os: str = ""
    os_version: str = ""
    size: int = 0
    graph_driver: DriverData = field(default_factory=DriverData)
    root_fs: RootFS = field(name="RootFS", default_factory=RootFS)
    metadata: ImageMetadata = field(default_factory=ImageMetadata)
    descriptor: dict[str, Any] | None = None
    manifests: list[Any] | None = None
    identity: dict[str, Any] | None = None


class ImageHistory(Wire):
    """One step, newest first. ``id``: ``<missing>`` where there is none. ``created``: seconds since the epoch."""

    id: str
    created: int = 0
    created_by: str = ""
    tags: list[str] | None = None
    size: int = 0
    comment: str = ""


class ImageDeleted(Wire):
    """One of the two is set: a name (familiar form), or an image or layer id."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"untagged", "deleted"})

    untagged: str = ""
    deleted: str = ""


class ImagesPruned(Wire):
    """``space_reclaimed`` in bytes."""

    images_deleted: list[ImageDeleted] | None = None
    space_reclaimed: int = 0


class SearchResult(Wire, rename=None):
    description: str = ""
    is_official: bool = False
    is_automated: bool = False
    name: str = ""
    star_count: int = 0


class AuthConfig(Wire, rename=lambda name: name.replace("_", "")):
    """Credentials of a registry: ``X-Registry-Auth`` and the body of ``/auth``."""

    username: str = ""
    password: str = ""
    auth: str = ""
    email: str = ""
    server_address: str = ""
    identity_token: str = ""
    registry_token: str = ""


class ProgressDetail(Wire, rename=None):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"current", "total"})

    current: int = 0
    total: int = 0


class ErrorDetail(Wire, rename=None):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"code"})

    code: int = 0
    message: str = ""


class Progress(Wire, rename="camel"):
    """One line of a progress stream (pull, push, load, import, build)."""

    omit_empty: ClassVar[frozenset[str]] = frozenset(
        {"stream", "status", "progress_detail", "progress", "id", "error", "error_detail", "aux"}
    )

    stream: str = ""
    status: str = ""
    progress_detail: ProgressDetail | None = None
    progress: str = ""
    id: str = ""
    error: str = ""
    error_detail: ErrorDetail | None = None
    aux: dict[str, Any] | None = None
