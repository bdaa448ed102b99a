"""Labels of what there is, for those who may only see objects with some of them."""

from collections.abc import Mapping

from cove.engine.containers.registry import Registry
from cove.engine.lifecycle.execs import Execs
from cove.network import Networks
from cove.volumes import Volumes

Labels = Mapping[str, str]


class Members:
    """Each method takes a name or id as a request gives it, and raises NotFound in Docker's words."""

    def __init__(self, registry: Registry, execs: Execs, volumes: Volumes, networks: Networks) -> None:
        self._registry = registry
        self._execs = execs
        self._volumes = volumes
        self._networks = networks

    def container(self, reference: str) -> Labels:
        return self._registry.get(reference).record.config.labels or {}

    def of_exec(self, exec_id: str) -> Labels:
        return self._execs.container_of(exec_id).record.config.labels or {}

    def volume(self, name: str) -> Labels:
        return self._volumes.get(name).labels

    def network(self, reference: str) -> Labels:
        return self._networks.get(reference).labels
