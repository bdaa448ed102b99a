"""The API versions that we speak, and what the older ones saw.

The engine knows only the newest; ``cove.wire.coding`` applies these tables when it writes a response. Source: the API's
version history.
"""

from cove.wire.containers import ContainerState
from cove.wire.host_config import HostConfig
from cove.wire.images import ImageInspect, ImageSummary
from cove.wire.networks import EndpointSettings, Network
from cove.wire.system import Info

ApiVersion = tuple[int, int]

NEWEST: ApiVersion = (1, 51)
OLDEST: ApiVersion = (1, 24)
MULTIPLEXED_MEDIA_TYPE: ApiVersion = (1, 42)
"""From here on, a multiplexed stream has a content type of its own."""

ADDED: dict[type, dict[str, ApiVersion]] = {
    EndpointSettings: {"DNSNames": (1, 44), "GwPriority": (1, 48)},
    Network: {"EnableIPv4": (1, 47)},
    HostConfig: {"CgroupnsMode": (1, 41), "Annotations": (1, 43)},
    ContainerState: {"Health": (1, 24)},
    ImageInspect: {"Descriptor": (1, 48)},
    Info: {"CDISpecDirs": (1, 44), "CgroupVersion": (1, 41), "DefaultAddressPools": (1, 41)},
}
"""Fields that versions before this one do not see."""

COPIED: dict[type, dict[str, tuple[str, ApiVersion]]] = {
    ImageSummary: {"VirtualSize": ("Size", (1, 44))},
    ImageInspect: {"VirtualSize": ("Size", (1, 44)), "ContainerConfig": ("Config", (1, 45))},
}
"""Fields that only versions before this one see, and which field they repeat."""


def text(version: ApiVersion) -> str:
    """``1.51``."""
    return f"{version[0]}.{version[1]}"
