"""Images."""

from typing import Any, ClassVar

from msgspec import field

from cove.wire.base import Wire


class PlatformFields(Wire, rename=None):
    """An OCI platform."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"variant", "os_version", "os_features"})

    architecture: str = ""
    os: str = ""
    os_version: str = field(name="os.version", default="")
    os_features: list[str] | None = field(name="os.features", default=None)
    variant: str = ""


class DescriptorFields(Wire, rename="camel"):
    """An OCI descriptor. ``size`` in bytes."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"urls", "annotations", "platform", "artifact_type"})

    media_type: str
    digest: str
    size: int
    urls: list[str] | None = None
    annotations: dict[str, str] | None = None
    platform: PlatformFields | None = None
    artifact_type: str = ""


class PullIdentity(Wire):
    """``repository``: canonical name of one in a registry that the image came from, or was pushed to."""

    repository: str


class BuildIdentity(Wire):
    """``created_at``: when the build ran."""

    ref: str
    created_at: str


class Identity(Wire):
    """What is known of where an image comes from; names that it is given do not change it."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"pull", "build", "signature"})

    signature: list[Any] | None = None
    pull: list[PullIdentity] | None = None
    build: list[BuildIdentity] | None = None


class ManifestSize(Wire):
    """Bytes: ``content`` of blobs that are here, ``total`` with what is unpacked."""

    total: int = 0
    content: int = 0


class UnpackedSize(Wire):
    """Bytes of the unpacked layers."""

    unpacked: int = 0


class ImageData(Wire):
    """Of a manifest that is an image: what for, and the ids of the containers that use it."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"identity"})

    platform: PlatformFields
    containers: list[str]
    size: UnpackedSize
    unpacked_size: int = 0
    identity: Identity | None = None


class AttestationData(Wire):
    """``about``: digest of the manifest that is attested."""

    about: str = field(name="For", default="")


class ManifestSummary(Wire):
    """One manifest. ``kind``: ``image``, ``attestation`` or ``unknown``. ``available``: all of it is here."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"image_data", "attestation_data"})

    id: str = field(name="ID")
    descriptor: DescriptorFields
    available: bool
    size: ManifestSize
    kind: str
    image_data: ImageData | None = None
    attestation_data: AttestationData | None = None


class AttestationStatement(Wire):
    """``statement``: the in-toto JSON, when it was asked for."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"statement"})

    descriptor: DescriptorFields
    predicate_type: str = ""
    statement: Any = None


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
    descriptor: DescriptorFields | None = None
    manifests: list[ManifestSummary] | None = None


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
    descriptor: DescriptorFields | None = None
    manifests: list[ManifestSummary] | None = None
    identity: Identity | None = None


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
    """One line of a progress stream (pull, push, load, import, build). ``progress``: the detail as a drawn bar."""

    omit_empty: ClassVar[frozenset[str]] = frozenset(
        {"stream", "status", "progress_detail", "progress", "id", "error", "error_detail", "aux"}
    )
    pointers: ClassVar[frozenset[str]] = frozenset({"progress_detail"})

    stream: str = ""
    status: str = ""
    progress_detail: ProgressDetail | None = None
    progress: str = ""
    id: str = ""
    error: str = ""
    error_detail: ErrorDetail | None = None
    aux: dict[str, Any] | None = None
