"""Images as the OCI image specification 1.1 and Docker's image format (schema 2) describe them.

Field names on the wire are the specification's: structs rename to camelCase, or to the Go names of the configuration.
Unknown fields are ignored on the way in, as both specifications ask.
"""

from typing import Any

import msgspec

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
INDEXES = (INDEX, DOCKER_LIST)
CONFIGS = (CONFIG, DOCKER_CONFIG)
FOREIGN = (".foreign.", ".nondistributable.")
"""In the media types of layers that are not to be distributed, Docker's and OCI's."""


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a manifest in an index is for (image-spec, image-index)."""

    architecture: str = ""
    os: str = ""
    variant: str = ""
    os_version: str = msgspec.field(name="os.version", default="")
    os_features: list[str] = msgspec.field(name="os.features", default_factory=list)


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Points to a blob. ``size`` in bytes."""

    media_type: str
    digest: str
    size: int
    urls: list[str] = msgspec.field(default_factory=list)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    platform: Platform | None = None
    artifact_type: str = ""

    @property
    def is_foreign(self) -> bool:
        """Whether it is a layer that is not to be distributed: it may come from its ``urls``."""
        return any(mark in self.media_type for mark in FOREIGN)


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    config: Descriptor
    layers: list[Descriptor]
    schema_version: int = msgspec.field(default=0)
    media_type: str = ""
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    subject: Descriptor | None = None
    artifact_type: str = ""


class Index(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    manifests: list[Descriptor]
    schema_version: int = msgspec.field(default=0)
    media_type: str = ""
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class Healthcheck(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """Durations are in nanoseconds."""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Config(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """How to run the image: the ``config`` object, with Docker's additions."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    exposed_ports: dict[str, dict[str, Any]] | None = None
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    args_escaped: bool = False
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: list[str] | None = None
    healthcheck: Healthcheck | None = None
    on_build: list[str] | None = None


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of how the image was made. ``created``: RFC 3339."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class RootFS(msgspec.Struct, frozen=True):
    """``diff_ids``: digests of the uncompressed layers, lowest first."""

    type: str = "layers"
    diff_ids: list[str] = msgspec.field(default_factory=list)


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The configuration blob; its digest is the image's id."""

    architecture: str
    os: str
    rootfs: RootFS
    config: Config | None = None
    history: list[History] | None = None
    created: str | None = None
    author: str = ""
    variant: str = ""
    os_version: str = msgspec.field(name="os.version", default="")
    comment: str = ""
    docker_version: str = ""
