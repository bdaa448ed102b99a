"""What is in an archive of images: ``docker save``'s formats of all ages, and OCI layouts. Pure but for reading files.

Old archives list their images in ``manifest.json``; OCI layouts have ``oci-layout`` and ``index.json``; newer Docker
writes both, and then the index is what counts, ``manifest.json`` only adds names.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from cove.content import Blob
from cove.content.compression import MAGIC_SIZE, detect
from cove.digest import Digest
from cove.errors import InvalidArgument
from cove.images.catalog import named
from cove.images.making import Parts, check_algorithm, check_lengths, parse_config, write_manifest
from cove.images.targets import MAX_NESTING, decode, is_image, manifest_type
from cove.layers.worker.jobs import Member
from cove.oci import image as oci
from cove.platform import Platform
from cove.reference import Reference

JSON_LIMIT = 16 << 20
MAX_LINKS = 8
CONTAINERD_NAME = "io.containerd.image.name"
OCI_NAME = "org.opencontainers.image.ref.name"
_LAYER_TYPES = {"": oci.LAYER, "gzip": oci.LAYER_GZIP, "zstd": oci.LAYER_ZSTD}
T = TypeVar("T")


class Found(msgspec.Struct, frozen=True):
    """What names of an archive point at: one image, or platforms of an index. ``files``: the blobs that are large, and
    those that belong to no image.
    """

    parts: list[Parts]
    references: list[Reference]
    files: list[tuple[Path, Blob]]


class _DockerImage(msgspec.Struct, frozen=True, rename="pascal"):
    config: str
    layers: list[str] | None = None
    repo_tags: list[str] | None = None


def read(members: Iterable[Member], platforms: Sequence[Platform]) -> list[Found]:
    """What is in a spooled archive. ``platforms``: which of those of an index to take, all that are there when empty.

    Raises InvalidArgument when it is no such archive, is incomplete, or does not match its digests.
    """
    archive = _Archive(members)
    if archive.has("index.json") and archive.has("oci-layout"):
        return _read_layout(archive, platforms)
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
        return decode(self.read(name), kind, name)

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
    parts = Parts(config, write_manifest(config, layers), layers)
    return Found([parts], _tags(entry), [_file(member) for member in members])


def _file(member: Member) -> tuple[Path, Blob]:
    return Path(member.file), Blob(member.digest, member.size)


def _read_layout(archive: _Archive, platforms: Sequence[Platform]) -> list[Found]:
    extra = _docker_names(archive)
    tops: dict[str, tuple[oci.Descriptor, list[Reference]]] = {}
    for descriptor in archive.json("index.json", oci.Index).manifests:
        if archive.has_blob(descriptor.digest):
            tops.setdefault(descriptor.digest, (descriptor, []))[1].extend(_annotated(descriptor))
    read = [_read_target(archive, descriptor, names, extra, platforms) for descriptor, names in tops.values()]
    found = [target for target in read if target is not None]
    if not found:
        wanted = ", ".join(str(platform) for platform in platforms) or "any platform"
        raise InvalidArgument(f"no image for {wanted} is in the archive")
    return found


def _read_target(
    archive: _Archive,
    descriptor: oci.Descriptor,
    names: list[Reference],
    extra: dict[str, list[Reference]],
    platforms: Sequence[Platform],
) -> Found | None:
    """None when none of the platforms is in it."""
    leaves = list(_manifests(archive, descriptor, (), MAX_NESTING))
    images = [leaf for leaf in leaves if _is_whole_image(archive, leaf, only=len(leaves) == 1)]
    chosen = _chosen(archive, images, platforms)
    if not chosen:
        return None
    others = [leaf for leaf in leaves if not _is_image(archive, leaf.descriptor)]
    files = {blob.digest: (path, blob) for leaf in [*chosen, *others] for path, blob in _files(archive, leaf)}
    more = [name for leaf in chosen for name in extra.get(_manifest(archive, leaf.descriptor).config.digest, ())]
    parts = [_parts(archive, leaf) for leaf in chosen]
    return Found(parts, list(dict.fromkeys([*names, *more])), list(files.values()))


class _Leaf(msgspec.Struct, frozen=True):
    """A manifest that is in the archive, and the bytes of the indexes that lead to it, outermost first."""

    descriptor: oci.Descriptor
    indexes: tuple[bytes, ...]


def _manifests(
    archive: _Archive, descriptor: oci.Descriptor, indexes: tuple[bytes, ...], depth: int
) -> Iterator[_Leaf]:
    if not archive.has_blob(descriptor.digest):  # the other platforms' images need not be there
        return
    name = _blob_name(archive.blob(descriptor).digest)
    if descriptor.media_type not in oci.INDEXES:
        yield _Leaf(descriptor, indexes)
        return
    if indexes:
        check_algorithm("a manifest in an index", descriptor.digest)
    if not depth:
        raise InvalidArgument("indexes are nested too deeply in the archive")
    inside = (*indexes, archive.read(name))
    for child in archive.json(name, oci.Index).manifests:
        yield from _manifests(archive, child, inside, depth - 1)


def _is_image(archive: _Archive, descriptor: oci.Descriptor) -> bool:
    return is_image(descriptor, _manifest(archive, descriptor))


def _is_whole_image(archive: _Archive, leaf: _Leaf, *, only: bool) -> bool:
    """Of several images those whose layers are there; the ``only`` one is to be complained of when it is not whole."""
    if not _is_image(archive, leaf.descriptor):
        return False
    manifest = _manifest(archive, leaf.descriptor)
    return only or all(archive.has_blob(blob.digest) for blob in (manifest.config, *manifest.layers))


def _manifest(archive: _Archive, descriptor: oci.Descriptor) -> oci.Manifest:
    data = archive.read(_blob_name(archive.blob(descriptor).digest))
    manifest_type(data)
    return decode(data, oci.Manifest, f"manifest {descriptor.digest}")


def _chosen(archive: _Archive, images: Sequence[_Leaf], platforms: Sequence[Platform]) -> list[_Leaf]:
    """For each wanted platform the image that serves it best, in the archive's order."""
    if not platforms:
        return list(images)
    chosen = set()
    for wanted in platforms:
        ranked = [
            (rank, order)
            for order, leaf in enumerate(images)
            if (rank := wanted.preference(_platform(archive, leaf.descriptor))) is not None
        ]
        if ranked:
            chosen.add(min(ranked)[1])
    return [images[order] for order in sorted(chosen)]


def _platform(archive: _Archive, descriptor: oci.Descriptor) -> Platform:
    if descriptor.platform is not None and descriptor.platform.os:
        found = descriptor.platform
        return Platform(found.os, found.architecture, found.variant)
    config = parse_config(archive.read(_blob_name(_manifest(archive, descriptor).config.digest)))
    return Platform(config.os, config.architecture, config.variant)


def _parts(archive: _Archive, leaf: _Leaf) -> Parts:
    manifest = _manifest(archive, leaf.descriptor)
    if leaf.indexes:
        check_algorithm("a manifest in an index", leaf.descriptor.digest)
    check_algorithm("the configuration", manifest.config.digest)
    config = archive.read(_blob_name(archive.blob(manifest.config).digest))
    check_lengths(parse_config(config).rootfs.diff_ids, manifest.layers)
    data = archive.read(_blob_name(leaf.descriptor.digest))
    return Parts(config, data, manifest.layers, leaf.indexes)


def _files(archive: _Archive, leaf: _Leaf) -> Iterator[tuple[Path, Blob]]:
    """The layers of an image; everything of what is none, as far as it is there."""
    manifest = _manifest(archive, leaf.descriptor)
    if _is_image(archive, leaf.descriptor):
        yield from (_file(archive.blob(layer)) for layer in manifest.layers)
        return
    for blob in (leaf.descriptor, manifest.config, *manifest.layers):
        if archive.has_blob(blob.digest):
            yield _file(archive.blob(blob))


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
    return f"blobs/{parsed.algorithm}/{parsed.hex}"
