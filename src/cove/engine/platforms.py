"""The platform that a request names, and whether an image is for this machine."""

import msgspec

from cove.errors import InvalidArgument
from cove.oci import image as oci
from cove.platform import Platform, host


def asked(text: str) -> Platform:
    """A platform as the API has it: the JSON of an OCI platform, or ``os[/architecture[/variant]]``.

    Raises InvalidArgument.
    """
    if not text.lstrip().startswith("{"):
        return Platform.parse(text)
    try:
        found = msgspec.json.decode(text, type=oci.Platform)
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"invalid value for platform: {error}") from error
    if not (found.os and found.architecture):
        raise InvalidArgument("invalid value for platform: os and architecture are both needed")
    return Platform(found.os, found.architecture, found.variant).normal()


def warnings(image: oci.ImageConfig) -> list[str]:
    """What to say when no platform was asked for. An image that does not say what it is for fits everywhere."""
    if not (image.os and image.architecture):
        return []
    offered = Platform(image.os, image.architecture, image.variant).normal()
    if host().preference(offered) is not None:
        return []
    return [
        f"The requested image's platform ({offered}) does not match the detected host platform ({host()}) and no "
        "specific platform was requested"
    ]
