"""What is in an archive of images: ``docker save``'s formats of all ages, and OCI layouts. Pure but for reading files.

Old archives list their images in ``manifest.json``; OCI layouts have ``oci-layout`` and ``index.json``; newer Docker
writes both, and then the index is what counts, ``manifest.json`` only adds names.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from cove.content.compression import MAGIC_SIZE, detect
from cove.digest import Digest
from cove.errors import InvalidArgument
from cove.images.catalog import named
from cove.images.making import Parts, check_lengths, parse_config, write_manifest
from cove.layers.jobs import Member
from cove.oci import image as oci
from cove.platform import Platform, host
from cove.reference import Reference

JSON_LIMIT = 16 << 20
MAX_LINKS = 8
MAX_NESTING = 4
CONTAINERD_NAME = "io.containerd.image.name"
OCI_NAME = "org.opencontainers.image.ref.name"
_INDEXES = (oci.INDEX, oci.DOCKER_LIST)
_CONFIGS = (oci.CONFIG, oci.DOCKER_CONFIG)
_LAYER_TYPES = {"": oci.LAYER, "gzip": oci.LAYER_GZIP, "zstd": oci.LAYER_ZSTD}
T = TypeVar("T")


class Found(msgspec.Struct, frozen=True):
    """One image of an archive. ``files``: the file of each layer blob, by digest."""

    parts: Parts
    files: dict[str, Path]


class _DockerImage(msgspec.Struct, frozen=True, rename="pascal"):
    config: str
    layers: list[str] | None = None
    repo_tags: list[str] | None = None


def read(members: Iterable[Member], platform: Platform | None) -> list[Found]:
    """The images of a spooled archive. ``platform``: which of several to take, this machine's when None.

    Raises InvalidArgument when it is no such archive, is incomplete, or does not match its digests.
    """
    archive = _Archive(members)
    if archive.has("index.json") and archive.has("oci-layout"):
        return _read_layout(archive, platform)
    if archive.has("manifest.json"):
        return [_read_docker(archive, entry) for entry in archive.json("manifest.json", list[_DockerImage])]
    raise InvalidArgument("not an archive of images: neither manifest.json nor an OCI layout is in it")


class _Archive:
    def __init__(self, members: Iterable[Member]) -> None:
        self._members = {member.name: member for member in members}

    def has(self, name: str) -> bool:
        return name in self._members

    def member(self, name: str) -> Member:
        """A file, links followed. Raises InvalidArgument."""
        wanted = name
        for _ in range(MAX_LINKS):
            found = self._members.get(wanted.removeprefix("./"))
            if found is None:
                break
            if not found.link:
                return found
            wanted = found.link
        raise InvalidArgument(f"{name}: not in the archive")

    def read(self, name: str) -> bytes:
        found = self.member(name)
        if found.size > JSON_LIMIT:
            raise InvalidArgument(f"{name}: larger than {JSON_LIMIT} bytes")
        return Path(found.file).read_bytes()

    def json(self, name: str, kind: type[T]) -> T:
        return _decode(self.read(name), kind, name)

    def has_blob(self, digest: str) -> bool:
        return self.has(_blob_name(digest))

    def blob(self, descriptor: oci.Descriptor) -> Member:
        """The blob, its size and digest checked. Raises InvalidArgument."""
        found = self.member(_blob_name(descriptor.digest))
        if found.digest != descriptor.digest or found.size != descriptor.size:
            raise InvalidArgument(
                f"blob {descriptor.digest} ({descriptor.size} bytes): found {found.digest} ({found.size} bytes)"
            )
        return found


def _read_docker(archive: _Archive, entry: _DockerImage) -> Found:
    config = archive.read(entry.config)
    diff_ids = parse_config(config).rootfs.diff_ids
    names = entry.layers or []
    check_lengths(diff_ids, names)
    members = [archive.member(name) for name in names]
    layers = [oci.Descriptor(_layer_type(member), member.digest, member.size) for member in members]
    parts = Parts(config, write_manifest(config, layers), layers, _tags(entry))
    return Found(parts, {member.digest: Path(member.file) for member in members})


def _read_layout(archive: _Archive, platform: Platform | None) -> list[Found]:
    index = archive.json("index.json", oci.Index)
    extra = _docker_names(archive)
    chosen: dict[str, tuple[oci.Descriptor, list[Reference]]] = {}
    for descriptor in index.manifests:
        found = _choose(archive, [descriptor], platform, MAX_NESTING)
        if found is not None:
            names = chosen.setdefault(found.digest, (found, []))[1]
            names += [name for name in _annotated(descriptor) if name not in names]
    if not chosen:
        raise InvalidArgument(f"no image for {platform or host()} is in the archive")
    return [_read_manifest(archive, descriptor, names, extra) for descriptor, names in chosen.values()]


def _choose(
    archive: _Archive, descriptors: Sequence[oci.Descriptor], platform: Platform | None, depth: int
) -> oci.Descriptor | None:
    """The manifest that serves best, indexes opened; without a wish, a single one of another platform will do."""
    manifests = list(_manifests(archive, descriptors, depth))
    ranked = []
    for order, manifest in enumerate(manifests):
        offered = _platform(archive, manifest)
        rank = (platform or host()).preference(offered) if offered else 0
        if rank is None and platform is None and len(manifests) == 1:
            rank = 1000
        if rank is not None:
            ranked.append((rank, order))
    return manifests[min(ranked)[1]] if ranked else None


def _manifests(archive: _Archive, descriptors: Iterable[oci.Descriptor], depth: int) -> Iterator[oci.Descriptor]:
    if not depth:
        raise InvalidArgument("indexes are nested too deeply in the archive")
    for descriptor in descriptors:
        if not archive.has_blob(descriptor.digest):  # the other platforms' images need not be there
            continue
        if descriptor.media_type in _INDEXES:
            name = _blob_name(archive.blob(descriptor).digest)
            yield from _manifests(archive, archive.json(name, oci.Index).manifests, depth - 1)
        elif _is_image(archive, descriptor):
            yield descriptor


def _is_image(archive: _Archive, descriptor: oci.Descriptor) -> bool:
    if descriptor.platform is not None and descriptor.platform.os == "unknown":  # an attestation
        return False
    return _manifest(archive, descriptor).config.media_type in _CONFIGS


def _manifest(archive: _Archive, descriptor: oci.Descriptor) -> oci.Manifest:
    return archive.json(_blob_name(archive.blob(descriptor).digest), oci.Manifest)


def _platform(archive: _Archive, descriptor: oci.Descriptor) -> Platform | None:
    if descriptor.platform is not None and descriptor.platform.os:
        found = descriptor.platform
        return Platform(found.os, found.architecture, found.variant)
    manifest = _manifest(archive, descriptor)
    if not archive.has_blob(manifest.config.digest):
        return None
    config = parse_config(archive.read(_blob_name(manifest.config.digest)))
    return Platform(config.os, config.architecture, config.variant)


def _read_manifest(
    archive: _Archive, descriptor: oci.Descriptor, names: list[Reference], extra: dict[str, list[Reference]]
) -> Found:
    data = archive.read(_blob_name(descriptor.digest))
    manifest = _manifest(archive, descriptor)
    archive.blob(manifest.config)
    diff_ids = parse_config(archive.read(_blob_name(manifest.config.digest))).rootfs.diff_ids
    check_lengths(diff_ids, manifest.layers)
    members = [archive.blob(layer) for layer in manifest.layers]
    names = names + [name for name in extra.get(manifest.config.digest, []) if name not in names]
    config = archive.read(_blob_name(manifest.config.digest))
    files = {member.digest: Path(member.file) for member in members}
    return Found(Parts(config, data, manifest.layers, names), files)


def _docker_names(archive: _Archive) -> dict[str, list[Reference]]:
    """The names in ``manifest.json``, by the digest of the configuration."""
    if not archive.has("manifest.json"):
        return {}
    entries = archive.json("manifest.json", list[_DockerImage])
    return {archive.member(entry.config).digest: _tags(entry) for entry in entries if archive.has(entry.config)}


def _annotated(descriptor: oci.Descriptor) -> list[Reference]:
    name = descriptor.annotations.get(CONTAINERD_NAME) or descriptor.annotations.get(OCI_NAME, "")
    if CONTAINERD_NAME not in descriptor.annotations and "/" not in name and ":" not in name:
        return []  # a bare tag, of no repository
    return [named(name)]


def _tags(entry: _DockerImage) -> list[Reference]:
    return [named(tag) for tag in entry.repo_tags or ()]


def _layer_type(member: Member) -> str:
    with open(member.file, "rb") as file:
        return _LAYER_TYPES.get(detect(file.read(MAGIC_SIZE)), oci.LAYER)


def _blob_name(digest: str) -> str:
    parsed = Digest.parse(digest)
    if parsed.algorithm != "sha256":
        raise InvalidArgument(f"blob {digest}: only sha256 is supported")
    return f"blobs/sha256/{parsed.hex}"


def _decode(data: bytes, kind: type[T], name: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"{name}: {error}") from error
