"""What is told of containers: one event for each move, with the attributes that Docker gives it."""

from collections.abc import Callable

from cove.engine.containers.container import Container
from cove.engine.events.events import Events
from cove.engine.networking.connectivity import Connectivity


class Announcements:
    """Publishes the events of containers, and those of the networks and volumes that their runs use."""

    def __init__(self, events: Events, connectivity: Connectivity) -> None:
        self.on_use: list[Callable[[Container], None]] = []
        self._events = events
        self._connectivity = connectivity

    def publish(self, container: Container, action: str, extra: dict[str, str] | None = None) -> None:
        """``extra``: attributes beside the container's labels, image and name."""
        self._events.publish("container", action, container.id, container.attributes | (extra or {}))

    def detached(self, container: Container, attach_id: str) -> None:
        """Tell that a client has left by its detach keys. ``attach_id``: an exec's id when it was attached to one."""
        if attach_id in container.execs:
            self.publish(container, "exec_detach", {"execID": attach_id})
        else:
            self.publish(container, "detach")

    def uses(self, container: Container, *, begin: bool) -> None:
        """Tell of the networks and volumes that a run takes, or gives back."""
        for listener in self.on_use:
            listener(container)
        for network_id, name, driver in self._connectivity.memberships(container):
            attributes = {"container": container.id, "name": name, "type": driver}
            self._events.publish("network", "connect" if begin else "disconnect", network_id, attributes)
        for mount in container.record.mounts:
            if mount.kind == "volume":
                attributes = {"container": container.id, "driver": mount.driver}
                if begin:
                    attributes |= {"destination": mount.destination, "propagation": mount.propagation}
                    attributes["read/write"] = str(mount.writable).lower()
                self._events.publish("volume", "mount" if begin else "unmount", mount.name, attributes)

    def pruned(self, reclaimed: int) -> None:
        """Tell that stopped containers were pruned. ``reclaimed``: bytes."""
        self._events.publish("container", "prune", "", {"reclaimed": str(reclaimed)})

    def tagged(self, image_id: str, attributes: dict[str, str]) -> None:
        """Tell that the image made of a container was given a name."""
        self._events.publish("image", "tag", image_id, attributes)

    def volume_removed(self, name: str, driver: str) -> None:
        """Tell of an anonymous volume that went with its container."""
        self._events.publish("volume", "destroy", name, {"driver": driver})

    def volume_made(self, name: str, driver: str) -> None:
        """Tell of a volume that a container's creation made."""
        self._events.publish("volume", "create", name, {"driver": driver})
