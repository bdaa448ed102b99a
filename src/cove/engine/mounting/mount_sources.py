"""What mounts stand on before there is a container: volumes are made, and missing directories of ``-v`` too."""

import contextlib
import os
from collections.abc import Iterable

from cove.engine.bundle.bundles import Bundles
from cove.engine.containers.record import MountPoint
from cove.engine.events.announcements import Announcements
from cove.errors import Internal, InvalidArgument, NotFound
from cove.images import Images
from cove.volumes import LOCAL, Volumes
from cove.wire.host_config import HostConfig


class MountSources:
    """Gives mounts their sources on the host."""

    def __init__(self, volumes: Volumes, images: Images, bundles: Bundles, announcements: Announcements) -> None:
        self._volumes = volumes
        self._images = images
        self._bundles = bundles
        self._announcements = announcements

    async def settle(self, mounts: Iterable[MountPoint], host_config: HostConfig) -> None:
        """For a container with this configuration. Raises InvalidArgument, Internal in Docker's words."""
        for mount in mounts:
            if mount.kind == "volume" and not mount.source:
                await self._volume(mount)
            elif mount.kind == "bind":
                _bind(mount, self._bundles.root(host_config))

    def hold_images(self, mounts: Iterable[MountPoint], held: contextlib.ExitStack) -> None:
        """Look up the images that are mounted, and have them stay. Raises InvalidArgument.

        Their absence is no 404, which clients take for a missing image of the container's own.
        """
        for mount in mounts:
            if mount.kind == "image":
                try:
                    mount.image = self._images.resolve(mount.source).id
                except NotFound as error:
                    raise InvalidArgument(f'invalid mount config for type "image": {error.message}') from error
                held.enter_context(self._images.hold(mount.image))

    async def _volume(self, mount: MountPoint) -> None:
        new = not mount.name or not self._volumes.has(mount.name)
        driver = "" if mount.driver == LOCAL else mount.driver  # a volume that is there may have another
        volume = await self._volumes.create(
            mount.name, driver=driver, options=mount.driver_options, labels=mount.labels
        )
        if new:
            self._announcements.volume_made(volume.name, volume.driver)
        mount.name, mount.driver = volume.name, volume.driver
        mount.source = (await self._volumes.find(volume.name)).details.mountpoint


def _bind(mount: MountPoint, owner: tuple[int, int]) -> None:
    if os.path.lexists(mount.source):
        return
    if not mount.create_source:
        raise InvalidArgument(f'invalid mount config for type "bind": bind source path does not exist: {mount.source}')
    try:
        _make_source(mount.source, owner)
    except OSError as error:
        raise Internal(f"error while creating mount source path '{mount.source}': {error.strerror}") from error


def _make_source(path: str, owner: tuple[int, int]) -> None:
    """Make a directory, and those above it that are missing, for who is to have them."""
    parent = os.path.dirname(path)
    if not os.path.lexists(parent):
        _make_source(parent, owner)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o755)
        os.chown(path, *owner)
