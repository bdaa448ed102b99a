"""The API versions that we speak, and what the older ones saw.

The engine knows only the newest; ``cove.wire.coding`` applies these tables when it writes a response. Source: the API's
version history.
"""

from cove.wire.config import Config, HealthConfig
from cove.wire.containers import (
    ContainerCreate,
    ContainerState,
    ContainerSummary,
    ContainerUpdate,
    NetworkSettings,
    SummaryHostConfig,
)
from cove.wire.events import Event
from cove.wire.host_config import HostConfig
from cove.wire.images import ImageInspect, ImageSummary, Progress
from cove.wire.networks import EndpointSettings, Network
from cove.wire.stats import Stats
from cove.wire.system import Commit, DiskUsage, Info

ApiVersion = tuple[int, int]

NEWEST: ApiVersion = (1, 56)
OLDEST: ApiVersion = (1, 24)
MULTIPLEXED_MEDIA_TYPE: ApiVersion = (1, 42)
"""From here on, a multiplexed stream has a content type of its own."""

ADDED: dict[type, dict[str, ApiVersion]] = {
    HealthConfig: {"StartInterval": (1, 44)},
    EndpointSettings: {"DNSNames": (1, 44), "GwPriority": (1, 48)},
    Network: {"EnableIPv4": (1, 47), "Status": (1, 52)},
    HostConfig: {"CgroupnsMode": (1, 41), "Annotations": (1, 43), "Umask": (1, 56)},
    SummaryHostConfig: {"Annotations": (1, 46)},
    ContainerState: {"Health": (1, 24)},
    ContainerSummary: {"Health": (1, 52), "ImageManifestDescriptor": (1, 48)},
    ImageInspect: {"Descriptor": (1, 48), "Manifests": (1, 48), "Identity": (1, 53)},
    ImageSummary: {"Descriptor": (1, 48), "Manifests": (1, 47)},
    Stats: {"os_type": (1, 52)},
    Info: {
        "CDISpecDirs": (1, 44),
        "CgroupVersion": (1, 41),
        "DefaultAddressPools": (1, 41),
        "FirewallBackend": (1, 49),
        "DiscoveredDevices": (1, 50),
    },
    DiskUsage: dict.fromkeys(("ImageUsage", "ContainerUsage", "VolumeUsage", "BuildCacheUsage"), (1, 52)),
}
"""Fields that versions before this one do not see, and that are not read from their requests."""

REMOVED: dict[type, dict[str, ApiVersion]] = {
    ContainerCreate: {"MacAddress": (1, 52)},
    HostConfig: {"KernelMemory": (1, 42), "KernelMemoryTCP": (1, 52)},
    ContainerUpdate: {"KernelMemory": (1, 42), "KernelMemoryTCP": (1, 52)},
    Commit: {"Expected": (1, 49)},
    Progress: {"progress": (1, 52)},
    Event: dict.fromkeys(("status", "id", "from"), (1, 52)),
    NetworkSettings: dict.fromkeys(
        (
            "Bridge HairpinMode LinkLocalIPv6Address LinkLocalIPv6PrefixLen SecondaryIPAddresses "
            "SecondaryIPv6Addresses EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen IPAddress IPPrefixLen "
            "IPv6Gateway MacAddress"
        ).split(),
        (1, 52),
    ),
    DiskUsage: {
        "BuilderSize": (1, 42),
        **dict.fromkeys(("LayersSize", "Images", "Containers", "Volumes", "BuildCache"), (1, 53)),
    },
}
"""Fields that this version and those after it do not see, and that are not read from their requests."""

OMITTED: dict[type, dict[str, ApiVersion]] = {
    Config: {"OnBuild": (1, 52)},
    ImageInspect: dict.fromkeys(("Parent", "Comment", "DockerVersion", "Author"), (1, 52)),
}
"""Fields that this version and those after it only see when they are not empty."""

COPIED: dict[type, dict[str, tuple[str, ApiVersion]]] = {
    ImageSummary: {"VirtualSize": ("Size", (1, 44))},
    ImageInspect: {"VirtualSize": ("Size", (1, 44)), "ContainerConfig": ("Config", (1, 45))},
}
"""Fields that only versions before this one see, and which field they repeat."""

EXTENDED: dict[type, dict[str, tuple[str, ApiVersion]]] = {EndpointSettings: {"Aliases": ("DNSNames", (1, 45))}}
"""Lists that for versions before this one go on with those of another list: all but the first, which is the name."""


def text(version: ApiVersion) -> str:
    """``1.51``."""
    return f"{version[0]}.{version[1]}"
