"""What a build is for: images with names, of one platform or of several in one index."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cove.build.outputs.annotations import INDEX as OF_INDEX
from cove.build.outputs.annotations import INDEX_DESCRIPTOR, MANIFEST_DESCRIPTOR, Annotations
from cove.build.outputs.annotations import MANIFEST as OF_MANIFEST
from cove.build.outputs.assembling import Assembly
from cove.build.outputs.attestations import Attestation
from cove.build.planning.graph import Root
from cove.build.solving.executors import KeptLeft, KeptMount, Left
from cove.digest import Digest
from cove.errors import NotFound
from cove.images import Build, Image, Images
from cove.oci.image import CONFIG, INDEX, MANIFEST, Config, Descriptor, ImageConfig, Index, Manifest, Platform, RootFS
from cove.platform import host
from cove.reference import Reference


@dataclass(frozen=True)
class Output:
    """``type``: image, or cacheonly for nothing. ``names``: what the image is called, wherever it goes.

    ``stored_as``: what it is called here, when that is something else.
    """

    type: str = "image"
    names: Sequence[Reference] = ()
    stored_as: Sequence[Reference] = ()
    annotations: Annotations = field(default_factory=Annotations)


@dataclass(frozen=True)
class Built:
    """``image``: the one for this machine, None when none was made; it may have been removed since.

    ``descriptor``: what names point at.
    """

    image: Image | None = None
    descriptor: Descriptor | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """As ``--metadata-file`` has it."""
        if self.descriptor is None or self.image is None:
            return {}
        found: dict[str, Any] = {
            "containerimage.config.digest": self.image.id,
            "containerimage.descriptor": msgspec.to_builtins(self.descriptor),
            "containerimage.digest": self.descriptor.digest,
        }
        return found


Attest = Callable[[Descriptor, Assembly], Awaitable[Attestation | None]]
"""What is said of an image, whose blobs are kept already."""


async def export(
    images: Images, made: Sequence[Assembly], outputs: Sequence[Output], attest: Attest, build: Build
) -> Built:
    """Make everything that was asked for. ``build``: what is noted of its origin here. Raises CoveError."""
    built = Built()
    for output in outputs:
        if output.type != "cacheonly":
            built = await _images(images, made, output, attest, build)
    return built


async def _images(images: Images, made: Sequence[Assembly], output: Output, attest: Attest, build: Build) -> Built:
    packed = [_Packed.of(assembly, output.annotations) for assembly in made]
    said = [await attest(each.descriptor, assembly) for each, assembly in zip(packed, made, strict=True)]
    about = [each.descriptor for each in said if each is not None]
    of_index = output.annotations.of(OF_INDEX)
    index = _index(packed, about, of_index) if len(packed) > 1 or about or of_index else None
    names, here, indexes = output.names, output.stored_as or output.names, [index] if index else []
    done = [_present(images, each, here, index) or await each.add(images, here, indexes, build) for each in packed]
    descriptor = Descriptor(INDEX, str(Digest.of(index)), len(index)) if index else packed[0].descriptor
    best = min(done, key=lambda image: _rank(image))
    told = output.annotations.of(INDEX_DESCRIPTOR) if index else dict(descriptor.annotations)
    told |= {"io.containerd.image.name": str(names[0])} if names else {}
    return Built(best, msgspec.structs.replace(descriptor, annotations=told))


def _present(images: Images, packed: "_Packed", names: Sequence[Reference], index: bytes | None) -> Image | None:
    """The image when it is here already and called so: nothing has to be written."""
    image_id = str(Digest.of(packed.config))
    try:
        image = images.get(image_id)
        if image.hidden or index is not None or image.manifest != packed.descriptor.digest:
            return None
        return image if all(images.resolve(str(name)).id == image_id for name in names) else None
    except NotFound:
        return None


def _rank(image: Image) -> int:
    found = host().preference(image.platform)
    return 1000 if found is None else found


@dataclass(frozen=True)
class _Packed:
    """The blobs of one image."""

    config: bytes
    manifest: bytes
    layers: list[Descriptor]
    platform: Platform
    annotations: Annotations

    @classmethod
    def of(cls, made: Assembly, annotations: Annotations) -> "_Packed":
        config = made.encoded
        platform = Platform(made.config.architecture, made.config.os, made.config.variant)
        layers = [layer.blob for layer in made.root.layers]
        manifest = Manifest(
            schema_version=2,
            media_type=MANIFEST,
            config=Descriptor(CONFIG, str(Digest.of(config)), len(config)),
            layers=layers,
            annotations=annotations.of(OF_MANIFEST, platform),
        )
        return cls(config, msgspec.json.encode(manifest), layers, platform, annotations)

    async def add(self, images: Images, names: Sequence[Reference], indexes: Sequence[bytes], build: Build) -> Image:
        return await images.add(self.config, self.manifest, self.layers, names, indexes, build=build)

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(
            MANIFEST,
            str(Digest.of(self.manifest)),
            len(self.manifest),
            annotations=self.annotations.of(MANIFEST_DESCRIPTOR, self.platform),
            platform=self.platform,
        )


def _index(packed: Sequence[_Packed], about: Sequence[Descriptor], annotations: dict[str, str]) -> bytes:
    listed = [*(each.descriptor for each in packed), *about]
    index = Index(schema_version=2, media_type=INDEX, manifests=listed, annotations=annotations)
    return msgspec.json.encode(index)


async def keep_left(images: Images, left: Left) -> KeptLeft:
    """Keep what a step that failed has left in images without names."""
    config = Config(env=list(left.run.environment), working_dir=left.run.directory, user=left.run.user, cmd=["/bin/sh"])
    mounts = []
    for mount in left.mounts:
        option = mount.option
        if mount.root is None:
            kind = "bind" if mount.directory else "tmpfs"
            mounts.append(KeptMount(kind, option.target, mount.directory, size=option.size))
        elif mount.root.layers:
            source = await _nameless(images, mount.root, Config())
            mounts.append(KeptMount("image", option.target, source, option.source))
    return KeptLeft(await _nameless(images, left.root, config), tuple(mounts))


async def _nameless(images: Images, root: Root, config: Config) -> str:
    """Make an image of a root; its id."""
    here = host()
    whole = ImageConfig(here.architecture, here.os, RootFS(diff_ids=root.diff_ids), config, variant=here.variant)
    data = msgspec.json.encode(whole)
    layers = [layer.blob for layer in root.layers]
    manifest = Manifest(
        schema_version=2, media_type=MANIFEST, config=Descriptor(CONFIG, str(Digest.of(data)), len(data)), layers=layers
    )
    return (await images.add(data, msgspec.json.encode(manifest), layers)).id
