"""What a build is for: images with names, archives, files."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from cove.build.assembling import Assembly
from cove.images import Image, Images
from cove.images.making import write_manifest
from cove.oci.image import Descriptor
from cove.reference import Reference


@dataclass(frozen=True)
class Output:
    """``type``: image, or cacheonly for nothing. ``names``: what the image is called."""

    type: str = "image"
    names: Sequence[Reference] = ()


@dataclass(frozen=True)
class Built:
    """``image``: its id, empty when none was made. ``digest``: of the manifest or index. ``size`` in bytes."""

    image: str = ""
    digest: str = ""
    descriptor: Descriptor | None = None


async def export(images: Images, made: Sequence[Assembly], outputs: Sequence[Output]) -> Built:
    """Make everything that was asked for. Raises CoveError."""
    built = Built()
    for output in outputs:
        if output.type == "image":
            image = await _image(images, made[0], output)
            built = Built(image.id, image.manifest, Descriptor(image.manifest_type, image.manifest, 0))
    return built


async def _image(images: Images, made: Assembly, output: Output) -> Image:
    config = msgspec.json.encode(made.config)
    layers = [layer.blob for layer in made.root.layers]
    return await images.add(config, write_manifest(config, layers), layers, output.names)
