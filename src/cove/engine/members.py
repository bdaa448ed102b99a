"""Labels of what there is, for those who may only see objects with some of them."""

from collections.abc import Iterator, Mapping

from cove.engine.containers.registry import Registry
from cove.engine.lifecycle.execs import Execs
from cove.images import Images
from cove.network import Networks
from cove.volumes import Volumes

Labels = Mapping[str, str]


class Members:
    """Most methods take a name or id as a request gives it, and give what means it from then on, and its labels.

    Those raise NotFound in Docker's words.
    """

    def __init__(self, registry: Registry, execs: Execs, volumes: Volumes, networks: Networks, images: Images) -> None:
        self._registry = registry
        self._execs = execs
        self._volumes = volumes
        self._networks = networks
        self._images = images

    def container(self, reference: str) -> tuple[str, Labels]:
        record = self._registry.get(reference).record
        return record.id, record.config.labels or {}

    def of_exec(self, exec_id: str) -> tuple[str, Labels]:
        return exec_id, self._execs.container_of(exec_id).record.config.labels or {}

    def volume(self, name: str) -> tuple[str, Labels]:
        return name, self._volumes.get(name).labels

    def network(self, reference: str) -> tuple[str, Labels]:
        record = self._networks.get(reference)
        return record.id, record.labels

    def awaiting(self, network: str) -> Iterator[Labels]:
        """The labels of each container that is to be on the network of this name, which may not be there."""
        for container in self._registry:
            if network in (container.record.networking.endpoints_config or {}):
                yield container.record.config.labels or {}

    def image(self, name: str) -> tuple[str, Labels]:
        image = self._images.resolve(name)
        return image.id, (image.config.config.labels if image.config.config else None) or {}
