"""What is told of containers: one event for each move, with the attributes that Docker gives it."""

from cove.engine.connectivity import Connectivity
from cove.engine.container import Container
from cove.engine.events import Events


class Announcements:
    """Publishes the events of containers, and those of the networks and volumes that their runs use."""

    def __init__(self, events: Events, connectivity: Connectivity) -> None:
        self._events = events
        self._connectivity = connectivity

    def publish(self, container: Container, action: str, extra: dict[str, str] | None = None) -> None:
        """``extra``: attributes beside the container's labels, image and name."""
        self._events.publish("container", action, container.id, container.attributes | (extra or {}))

    def uses(self, container: Container, *, begin: bool) -> None:
        """Tell of the networks and volumes that a run takes, or gives back."""
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

    def volume_made(self, name: str, driver: str) -> None:
        """Tell of a volume that a container's creation made."""
        self._events.publish("volume", "create", name, {"driver": driver})
