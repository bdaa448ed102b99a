"""What is stored of a container: the request as given, and the state that must survive the daemon."""

from typing import Literal

import msgspec

from cove.store import Table
from cove.wire.config import Config
from cove.wire.containers import Health
from cove.wire.host_config import HostConfig
from cove.wire.networks import NetworkingConfig

Status = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]


class MountPoint(msgspec.Struct, omit_defaults=True):
    """One mount that the user, the image or the engine asked for. ``kind``: bind, volume, tmpfs or image.

    ``create_source``: a missing directory on the host is made, as ``-v`` has it. ``labels``, ``driver_options``: of a
    volume that the mount makes. ``no_copy``: nothing of the image is copied into an empty volume.
    ``subpath``: the part of the volume or image that is mounted. ``image``: the id of the image. ``idmap``: the
    mapping that a bind was asked for. ``recursion``: what becomes of mounts below a bind's source, in the words of
    ``bind-recursive``.
    """

    kind: str
    destination: str
    source: str = ""
    name: str = ""
    driver: str = ""
    mode: str = ""
    writable: bool = True
    propagation: str = ""
    options: list[str] = msgspec.field(default_factory=list)
    anonymous: bool = False
    create_source: bool = False
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    driver_options: dict[str, str] = msgspec.field(default_factory=dict)
    no_copy: bool = False
    subpath: str = ""
    image: str = ""
    idmap: str = ""
    recursion: str = ""


class State(msgspec.Struct, omit_defaults=True):
    """Times are nanoseconds since the epoch, 0 for never. ``stopped``: a user asked for the stop, not the program.

    ``health``: as it was when the status last changed; None without a probe. ``held``: it is paused while the daemon
    makes a copy, and by nobody else: the next daemon lets it go on.
    """

    status: Status = "created"
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at: int = 0
    finished_at: int = 0
    restart_count: int = 0
    stopped: bool = False
    held: bool = False
    health: Health | None = None


class Record(msgspec.Struct, omit_defaults=True):
    """The row of a container.

    ``image``: the image's id; ``image_name``: the reference that the user typed. ``config`` has the image's
    configuration merged in. ``created``: nanoseconds since the epoch. ``links``: of the default bridge, ids by alias.
    ``apparmor``: the profile that its last start gave it for want of another, "" for none. ``process_label``,
    ``mount_label``: SELinux's, "" for none. ``editing``: mounts that are
    being added to what runs, or taken from it: it may have them or not.
    """

    id: str
    name: str
    created: int
    image: str
    image_name: str
    config: Config
    host_config: HostConfig
    networking: NetworkingConfig
    mounts: list[MountPoint]
    state: State = msgspec.field(default_factory=State)
    links: dict[str, str] = msgspec.field(default_factory=dict)
    apparmor: str = ""
    process_label: str = ""
    mount_label: str = ""
    editing: list[MountPoint] = msgspec.field(default_factory=list)

    @property
    def network_mode(self) -> str:
        """``bridge``, ``host``, ``none``, ``container:ID`` or a network's name.

        Who has switched networking off has a namespace with a loopback, whatever mode was asked for.
        """
        asked = self.host_config.network_mode
        return "none" if self.config.network_disabled else "bridge" if asked in ("", "default") else asked

    @property
    def mounted_images(self) -> set[str]:
        """The ids of the images that it mounts."""
        return {mount.image for mount in self.mounts if mount.image}

    @property
    def arguments(self) -> list[str]:
        """The program and its arguments: entry point, then command."""
        return [*(self.config.entrypoint or []), *(self.config.cmd or [])]


class ImageMount(msgspec.Struct):
    """An image that a container mounts."""

    container: str
    image: str


IMAGE_MOUNTS: Table[ImageMount] = Table(
    "image_mounts",
    ImageMount,
    ("container", "image"),
    {"container": lambda mount: mount.container, "image": lambda mount: mount.image},
)

CONTAINERS: Table[Record] = Table(
    "containers",
    Record,
    ("id",),
    {"id": lambda record: record.id, "name": lambda record: record.name, "image": lambda record: record.image},
)
