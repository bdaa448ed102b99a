"""A CDI specification file as types. Field names are the specification's; a field that it does not have is refused."""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

Id = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Major = Annotated[int, Meta(ge=0, le=2**12 - 1)]
Minor = Annotated[int, Meta(ge=0, le=2**20 - 1)]
Mode = Annotated[int, Meta(ge=0, le=0o7777)]


class Part(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Whatever is in such a file."""


class DeviceNode(Part):
    """``permissions``: letters of "rwm", "none", or empty for all. Without type and number it is looked up."""

    path: str
    host_path: str = ""
    type: str = ""
    major: Major = 0
    minor: Minor = 0
    file_mode: Mode | None = None
    permissions: str = ""
    uid: Id | None = None
    gid: Id | None = None


class Mount(Part):
    host_path: str
    container_path: str
    options: list[str] = field(default_factory=list)
    type: str = ""


class Hook(Part):
    """``timeout`` in seconds; none when it is 0."""

    hook_name: str
    path: str
    args: list[str] = field(default_factory=list)
    env: list[str] = field(default_factory=list)
    timeout: Annotated[int, Meta(ge=0)] = 0


class ContainerEdits(Part):
    env: list[str] = field(default_factory=list)
    device_nodes: list[DeviceNode] = field(default_factory=list)
    net_devices: list[dict[str, str]] = field(default_factory=list)
    mounts: list[Mount] = field(default_factory=list)
    hooks: list[Hook] = field(default_factory=list)
    intel_rdt: dict[str, Any] | None = None
    additional_gids: list[Id] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        listed = (self.env, self.device_nodes, self.net_devices, self.mounts, self.hooks, self.additional_gids)
        return not any(listed) and self.intel_rdt is None


class Device(Part):
    name: str
    annotations: dict[str, str] = field(default_factory=dict)
    container_edits: ContainerEdits = field(default_factory=ContainerEdits)


class Document(Part):
    """``container_edits`` are those of every device of the file."""

    cdi_version: str
    kind: str
    annotations: dict[str, str] = field(default_factory=dict)
    devices: list[Device] = field(default_factory=list)
    container_edits: ContainerEdits = field(default_factory=ContainerEdits)

    def edits(self) -> list[tuple[str, ContainerEdits]]:
        """All edits in the file, each with its place in it."""
        found = [("containerEdits", self.container_edits)]
        found += [(f"devices[{index}].containerEdits", each.container_edits) for index, each in enumerate(self.devices)]
        return found
