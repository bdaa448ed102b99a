"""What a shim asks of the kernel for its container, in one place, so that a test can run a shim without privileges."""

import os
import socket
import stat
from typing import NoReturn

from cove.kernel import namespaces as kernel_namespaces
from cove.kernel.cgroups import Cgroup
from cove.oci.runtime import Process, Resources, Spec
from cove.runtime import cgroup, confinement, init, join, links, namespaces
from cove.runtime.child import Child
from cove.runtime.confinement import Confinement
from cove.runtime.messages import ConfigureNetwork, SeccompFilter, StartShim
from cove.runtime.namespaces import Target
from cove.runtime.process import Stdio


class Isolation:
    """The real thing; its methods are documented where they lead."""

    def __init__(self) -> None:
        self._confinement: Confinement | None = None
        self._root: tuple[int, int] | None = None

    def confine(self, filter_: SeccompFilter | None) -> None:
        """From here on, every process gets this filter. Raises OSError."""
        self._confinement = confinement.read(filter_)

    def cgroup(self, path: str) -> Cgroup:
        return cgroup.load_watched(path)

    def update(self, group: Cgroup, resources: Resources) -> None:
        cgroup.update(group, resources)

    def enter_pid(self, spec: Spec) -> None:
        if "user" in namespaces.paths(spec):
            from cove.runtime import mappings

            self._root = mappings.root(spec)
        namespaces.enter_pid(spec)

    def open_target(self, pid: int, spec: Spec) -> Target:
        target = namespaces.open_target(pid, spec)
        namespaces.enter_children_of(pid, spec)
        return target

    def signal(self, child: Child, number: int) -> None:
        """Signal the container's first process. Raises ProcessLookupError when it has ended."""
        child.signal(number)

    def ended(self) -> None:
        """The container has ended, and is going to be forgotten."""

    def configure_network(self, network: int, change: ConfigureNetwork) -> None:
        """Change the links of a network namespace, which this process is in meanwhile. Raises OSError."""
        own = kernel_namespaces.open_namespace(os.getpid(), "network")
        try:
            kernel_namespaces.enter(network, "network")
            try:
                links.change(change)
            finally:
                kernel_namespaces.enter(own, "network")
        finally:
            os.close(own)

    def init(self, spec: Spec, start: StartShim, group: Cgroup, stdio: Stdio, channel: socket.socket) -> NoReturn:
        self._give(stdio)
        init.main(spec, start, group, stdio, channel, self._confinement)

    def join(self, target: Target, process: Process, group: Cgroup, stdio: Stdio, channel: socket.socket) -> NoReturn:
        self._give(stdio)
        join.main(target, process, group, stdio, channel, self._confinement)

    def _give(self, stdio: Stdio) -> None:
        """Give the streams to the root of the container's user namespace, or no program could open them again."""
        for stream in stdio if self._root is not None else ():
            if stream is not None and stat.S_ISFIFO(os.fstat(stream).st_mode):
                os.fchown(stream, *self._root or ())
