"""Whether an image is for the platform that a request names, or else for this machine."""

from cove.errors import NotFound
from cove.oci.image import ImageConfig
from cove.platform import Platform, host


def check(image: ImageConfig, name: str, wanted: str) -> list[str]:
    """Warnings. Raises NotFound when the image is not for ``wanted``, InvalidArgument when that is no platform.

    An image that does not say what it is for fits everywhere.
    """
    asked = Platform.parse(wanted) if wanted else None
    if not (image.os and image.architecture):
        return []
    offered = Platform(image.os, image.architecture, image.variant).normal()
    if asked is not None:
        if asked.preference(offered) is None:
            raise NotFound(
                f"image with reference {name} was found but its platform ({offered}) does not match the specified "
                f"platform ({asked})"
            )
        return []
    if host().preference(offered) is not None:
        return []
    return [
        f"The requested image's platform ({offered}) does not match the detected host platform ({host()}) and no "
        "specific platform was requested"
    ]
