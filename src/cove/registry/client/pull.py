"""An image from a registry: the manifest for a platform, then layers that are unpacked while they arrive.

Nothing of an image is visible before all of it is here; what a pull that fails has brought is removed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from cove.digest import Digest, chain_ids
from cove.errors import CoveError, InvalidArgument, NotFound, Upstream
from cove.images import Image, Images
from cove.images.arrivals import Layer
from cove.images.making import check_algorithm
from cove.oci import image as oci
from cove.platform import Platform
from cove.reference import Reference
from cove.registry.client import layer_progress
from cove.registry.client.attestations import Attestations
from cove.registry.client.blobs import BlobReader, read_small
from cove.registry.client.choosing import attesting, choose
from cove.registry.client.concurrency import all_or_none
from cove.registry.client.failures import RegistryError
from cove.registry.client.manifests import (
    INDEXES,
    MANIFESTS,
    MAX_MANIFEST,
    SCHEMA_1,
    Fetched,
    Manifests,
    media_type,
    parse_index,
    parse_manifest,
)
from cove.registry.client.progress import Step, Tell
from cove.registry.client.session import Session

MAX_DEPTH = 4
"""Indexes in indexes."""
MAX_CONFIG = 4 << 20
"""Bytes of a configuration."""
MAX_LAYERS = 1000
IMAGE_CONFIGS = frozenset((oci.CONFIG, oci.DOCKER_CONFIG, "", "application/octet-stream"))
"""Media types of the configurations of images; other manifests are of artifacts."""


class Pulled(NamedTuple):
    """``changed``: whether the name stands for another image than before, or is new."""

    image: Image
    reference: Reference
    changed: bool


class NoImage(InvalidArgument):
    """A name stands for an artifact that no container can be made of: a signature, a chart."""


class Puller:
    """Pulls from one repository. ``tell`` is given each step."""

    def __init__(self, session: Session, repository: Reference, images: Images, platform: Platform, tell: Tell) -> None:
        self._repository = repository
        self._images = images
        self._platform = platform
        self._tell = tell
        self._manifests = Manifests(session, repository.path)
        self._blobs = BlobReader(session, repository.path)

    async def all_tags(self) -> list[Pulled]:
        """Every tag of the repository, one after the other; those of artifacts are passed over, unless there are no
        others. Raises in Docker's words.
        """
        try:
            tags = await self._manifests.tags()
        except CoveError as error:
            raise translated(error, self._repository) from error
        pulled: list[Pulled] = []
        skipped: NoImage | None = None
        for tag in tags:
            try:
                pulled.append(await self.one(Reference(self._repository.domain, self._repository.path, tag)))
            except NoImage as error:
                skipped = error
                self._tell(Step(f"Skipped: {error.message}", tag))
        if skipped and not pulled:
            raise skipped
        return pulled

    async def one(self, reference: Reference) -> Pulled:
        """One image, by tag or digest. Raises in Docker's words."""
        try:
            top = await self._top(reference)
        except CoveError as error:
            raise translated(error, reference) from error
        identity = reference.familiar if reference.digest else reference.tag
        self._tell(Step(f"Pulling from {_remote_name(reference)}", identity))
        _check_kind(top, reference)
        try:
            pulled = await self._take(reference, top)
        except RegistryError as error:
            raise translated(error, reference) from error
        self._tell(Step(f"Digest: {top.digest}"))
        return pulled

    async def _top(self, reference: Reference) -> Fetched:
        """What the name points to. A tag is asked for by HEAD first, which registries do not count as a download."""
        if reference.digest:
            return await self._manifests.get(reference.digest)
        found = await self._manifests.head(reference.tag)
        if found is None:
            return await self._manifests.get(reference.tag)
        if self._images.blobs.get(found.digest):
            body = await self._images.blobs.read(found.digest, MAX_MANIFEST)
            return Fetched(found.digest, media_type(body, found.media_type), body)
        return await self._manifests.get(found.digest)

    async def _take(self, reference: Reference, top: Fetched) -> Pulled:
        indexes: list[bytes] = []
        manifest = top
        while manifest.is_index:
            if len(indexes) == MAX_DEPTH:
                raise Upstream(f"{reference.familiar}: more than {MAX_DEPTH} indexes in each other")
            indexes.append(manifest.body)
            chosen = choose(parse_index(manifest.body).manifests, self._platform)
            check_algorithm("a manifest in an index", chosen.digest)
            manifest = await self._manifests.get(chosen.digest)
            _check_kind(manifest, reference)
        before = _known(self._images, reference)
        image = await self._image(manifest, indexes, reference)
        return Pulled(image, reference, before != str(Digest.of(top.body)))

    async def _image(self, fetched: Fetched, indexes: Sequence[bytes], name: Reference) -> Image:
        manifest = parse_manifest(fetched.body)
        if manifest.config.media_type not in IMAGE_CONFIGS:
            raise NoImage(f'unsupported media type "{manifest.config.media_type}": this is no image')
        if len(manifest.layers) > MAX_LAYERS:
            raise Upstream(f"manifest {fetched.digest} has more than {MAX_LAYERS} layers")
        config = await self._config(manifest.config)
        layers = _layers(manifest, config)
        async with self._images.lease() as lease:
            lease.keep(*(name for each in layers for name in (each.chain_id, each.digest)))
            attestations = Attestations(self._manifests, self._blobs, self._images.blobs, lease)
            await all_or_none(
                [
                    self._arrive(manifest.config.digest, layers, manifest.layers),
                    attestations.bring(_attesting(indexes, fetched)),
                ]
            )
            return await self._images.add(config, fetched.body, manifest.layers, [name], indexes, pulled=True)

    async def _config(self, descriptor: oci.Descriptor) -> bytes:
        check_algorithm("the configuration", descriptor.digest)  # it would be the image's id
        if self._images.blobs.get(descriptor.digest):
            return await self._images.blobs.read(descriptor.digest, MAX_CONFIG)
        return await read_small(self._blobs, descriptor, MAX_CONFIG, "image config")

    async def _arrive(self, image_id: str, layers: Sequence[Layer], blobs: Sequence[oci.Descriptor]) -> None:
        """Have all layers here, the largest first; they are announced from the lowest on."""
        if _is_here(self._images, image_id, layers):
            return
        lines = [layer_progress.Line(layer.digest, layer.size, self._tell) for layer in layers]
        missing = []
        for layer, blob, line in zip(layers, blobs, lines, strict=True):
            if self._images.arrivals.is_here(layer):
                line.already()
            else:
                line.announced()
                missing.append((layer, blob, line))
        missing.sort(key=lambda each: -each[0].size)
        await all_or_none([self._one_layer(*each) for each in missing])

    async def _one_layer(self, layer: Layer, blob: oci.Descriptor, line: layer_progress.Line) -> None:
        await self._images.arrivals.take(layer, lambda: self._blobs.stream(blob), line.at)
        line.complete()


def translated(error: CoveError, reference: Reference) -> CoveError:
    """A registry's refusal as Docker tells it of a pull."""
    if not isinstance(error, RegistryError):
        return error
    if error.code == "DENIED":
        return NotFound(
            f"pull access denied for {reference.familiar_name}, repository does not exist or may require "
            f"'docker login': {error.message}"
        )
    if error.code == "MANIFEST_UNKNOWN":
        return NotFound(f"manifest for {reference.familiar} not found: {error.message}")
    if error.code == "NAME_UNKNOWN":
        return NotFound(f"repository {reference.familiar_name} not found: {error.message}")
    return NotFound(error.message) if error.status == 404 else error


def _check_kind(manifest: Fetched, reference: Reference) -> None:
    if manifest.media_type in SCHEMA_1:
        raise InvalidArgument(
            "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest "
            f"the author of {reference.familiar} to upgrade the image to the OCI Format or Docker Image manifest v2, "
            "schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/"
        )
    if manifest.media_type not in INDEXES | MANIFESTS:
        raise NoImage(f'unsupported manifest media type "{manifest.media_type}"')


def _layers(manifest: oci.Manifest, config: bytes) -> list[Layer]:
    diff_ids = _diff_ids(config)
    if len(diff_ids) != len(manifest.layers):
        raise Upstream(
            f"invalid manifest, layers length mismatch: expected {len(diff_ids)}, got {len(manifest.layers)}"
        )
    chains = chain_ids(diff_ids)
    return [
        Layer(chain, parent, diff_id, blob.digest, blob.size)
        for chain, parent, diff_id, blob in zip(chains, ["", *chains], diff_ids, manifest.layers, strict=False)
    ]


def _diff_ids(config: bytes) -> list[str]:
    try:
        return msgspec.json.decode(config, type=oci.ImageConfig).rootfs.diff_ids
    except msgspec.MsgspecError as error:
        raise Upstream(f"invalid image configuration: {error}") from error


def _remote_name(reference: Reference) -> str:
    """The repository as it is called at its registry."""
    return reference.path


def _is_here(images: Images, image_id: str, layers: Sequence[Layer]) -> bool:
    """Whether the image is here already, by another name perhaps: then there is nothing to tell of its layers."""
    try:
        known = not images.get(image_id).hidden
    except NotFound:
        return False
    return known and all(images.arrivals.is_here(layer) for layer in layers)


def _attesting(indexes: Sequence[bytes], fetched: Fetched) -> list[oci.Descriptor]:
    """What is in the index of a manifest about it."""
    return attesting(parse_index(indexes[-1]).manifests, fetched.digest) if indexes else []


def _known(images: Images, name: Reference) -> str:
    """The digest of what a name points at; empty when there is no such name."""
    try:
        return images.target(str(name)).digest
    except (NotFound, InvalidArgument):
        return ""
