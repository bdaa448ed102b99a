"""Which control group a container has, by the driver that the daemon was told to use."""

from typing import NamedTuple

from cove.engine.containers.container import Container
from cove.errors import InvalidArgument
from cove.runtime import scope_names
from cove.wire.host_config import HostConfig


class GroupNames(NamedTuple):
    """``parent``: of containers that name none; a path, or with ``systemd`` a slice."""

    parent: str
    systemd: bool = False

    @property
    def driver(self) -> str:
        """As ``docker info`` has it."""
        return "systemd" if self.systemd else "cgroupfs"

    def check(self, host: HostConfig) -> None:
        """Raises InvalidArgument in Docker's words."""
        if self.systemd and host.cgroup_parent:
            check_slice(host.cgroup_parent)

    def path(self, container: Container) -> str:
        """From the root of every hierarchy."""
        named = self.named(container)
        return scope_names.control_group(named) if self.systemd else named

    def named(self, container: Container) -> str:
        """As ``linux.cgroupsPath`` has it: the path, or slice, prefix and name for systemd."""
        parent = container.record.host_config.cgroup_parent or self.parent
        if self.systemd:
            usable = parent if _is_slice(parent) else self.parent  # made when the daemon had the other driver
            return scope_names.cgroups_path(usable, container.id)
        return "/" + "/".join([*filter(None, parent.split("/")), container.id])


def check_slice(name: str) -> None:
    """Raises InvalidArgument in Docker's words."""
    if not _is_slice(name):
        raise InvalidArgument('cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"')


def _is_slice(name: str) -> bool:
    try:
        scope_names.slice_path(name)
    except ValueError:
        return False
    return True
