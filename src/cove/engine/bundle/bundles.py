"""The run directory of one start: the OCI configuration, the files of /etc, and the message to the zygote."""

import asyncio
import contextlib
import json
import shutil
import socket
from collections.abc import Iterable, Sequence

from cove.engine.bundle import devices, modes, relabelling, remap
from cove.engine.bundle.device_requests import DeviceRequests
from cove.engine.bundle.group_names import GroupNames
from cove.engine.bundle.remap import Remap
from cove.engine.bundle.runtimes import Runtimes
from cove.engine.bundle.seccomp import Seccomp
from cove.engine.bundle.selinux import Labelling
from cove.engine.bundle.specification import Surroundings, specification
from cove.engine.containers.container import Container
from cove.engine.containers.record import MountPoint, Record
from cove.engine.containers.registry import Registry
from cove.engine.logs.target import log_target
from cove.engine.networking.connectivity import Connectivity, network_mode
from cove.engine.networking.namefiles import NameFiles
from cove.engine.volumes.mounts import NOTHING_MOUNTED, Mounted
from cove.errors import Conflict
from cove.kernel.staged_mounts import StagedMount
from cove.oci.runtime import Spec
from cove.runtime.messages import OverlayRoot, StartShim
from cove.wire.host_config import HostConfig

DEFAULT_CGROUP_PARENT = "/cove"


class Bundles:
    """Writes bundles below the run root. ``init_path``: a static init on the host, or None to use the runtime's own.

    ``remapping``: the ids of containers that do not say otherwise.
    """

    def __init__(
        self,
        registry: Registry,
        connectivity: Connectivity,
        files: NameFiles,
        seccomp: Seccomp,
        *,
        groups: GroupNames,
        init_path: str | None,
        init: bool,
        runtimes: Runtimes | None = None,
        remapping: Remap | None = None,
        requests: DeviceRequests | None = None,
        apparmor: str = "",
        labelling: Labelling | None = None,
    ) -> None:
        self._registry = registry
        self._connectivity = connectivity
        self._files = files
        self._seccomp = seccomp
        self.runtimes = runtimes or Runtimes({})
        self.requests = requests or DeviceRequests(())
        self._groups = groups
        self.init_path = init_path
        self._init_by_default = init
        self.remapping = remapping
        self._apparmor = apparmor
        self._labelling = labelling or Labelling(None)

    def choose_runtime(self, host: HostConfig) -> None:
        """Fill in the default one. Raises InvalidArgument, in Docker's words, when there is none of this name."""
        host.runtime = host.runtime or self.runtimes.default
        self.runtimes.check(host.runtime)

    def check_parent(self, host: HostConfig) -> None:
        """Raises InvalidArgument, in Docker's words, for a parent that the control group driver cannot use."""
        self._groups.check(host)

    def check_ids(self, host: HostConfig) -> None:
        """Raises InvalidArgument, in Docker's words, for what a user namespace does not allow; Conflict."""
        remap.check(self.remapping, host)
        remap.check_runtime(self.remapping, host, self.runtimes.foreign(host.runtime) is not None)

    def label(self, record: Record) -> None:
        """Choose SELinux's labels of a new container. Raises InvalidArgument, in Docker's words."""
        taken = (container.record.process_label for container in self._registry)  # many, and mostly not asked for
        chosen = self._labelling.choose(
            record.host_config, taken, lambda other: self._registry.get(other).record.process_label
        )
        record.process_label, record.mount_label = chosen

    def root(self, host: HostConfig) -> tuple[int, int]:
        """Who the container's root is on the host."""
        mapping = remap.applied(self.remapping, host)
        return mapping.root if mapping is not None else (0, 0)

    async def relabel(self, record: Record, mounts: Iterable[MountPoint], staged: Sequence[StagedMount]) -> None:
        """Put SELinux's labels on what these mounts ask for. Raises InvalidArgument, NoSpace, Internal."""
        if found := relabelling.wanted(record, mounts, staged):
            await asyncio.to_thread(relabelling.relabel_all, found)

    async def prepare(self, host: HostConfig) -> None:
        """What takes longer than a start should: for most containers there is nothing to do. Raises InvalidArgument."""
        await self._seccomp.prepare(host)
        await self.requests.prepare(host)

    def write(
        self, container: Container, lower: list[str], mounted: Mounted = NOTHING_MOUNTED
    ) -> tuple[StartShim, list[socket.socket]]:
        """Make the run directory; the message that starts the shim, and the streams of those who wait.

        Raises Conflict when a container whose namespace it joins does not run, InvalidArgument, OSError.
        """
        record, paths = container.record, container.paths
        self.check_ids(record.host_config)
        (paths.run / "exec").mkdir(mode=0o711, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (paths.run / "exit.json").unlink()
        self._files.write(container)
        relabelling.share((paths.hostname, paths.resolv_conf, paths.hosts), record.mount_label)
        self._files.links.running(container)
        record.apparmor = "" if record.host_config.privileged else self._apparmor
        around = self._surroundings(container)
        spec = specification(record, around._replace(sources=mounted.sources, mapped=mounted.mapped))
        foreign = self.runtimes.foreign(record.host_config.runtime)
        if foreign is not None:
            self._spell_out(spec, container)
        (paths.run / "config.json").write_text(json.dumps(spec))
        overlay: OverlayRoot = {"lower": lower, "upper": str(paths.upper), "work": str(paths.work)}
        if record.mount_label:
            overlay["label"] = record.mount_label
        mapping = remap.applied(self.remapping, record.host_config)
        if mapping is not None:
            overlay["mappings"] = (mapping.uid_mappings, mapping.gid_mappings)
        seccomp = self._seccomp.filter(record) if foreign is None else None
        waiting = container.take_waiting()
        start = StartShim(
            container_id=container.id,
            run_dir=str(paths.run),
            root=overlay,
            log=log_target(container),
            stdin=record.config.open_stdin,
            stdin_once=record.config.stdin_once,
            init=self._wants_init(container) and self.init_path is None,
            await_network=self._connectivity.needed(container),
            attachments=[attachment for attachment, _ in waiting],
            seccomp=seccomp,
            runtime=foreign,
            staged=mounted.staged,
        )
        return start, [stream for _, stream in waiting]

    def _spell_out(self, spec: Spec, container: Container) -> None:
        """What our runtime is told otherwise, or has of its own, is for another one in the configuration."""
        host = container.record.host_config
        compiled = self._seccomp.compiled(host)
        if compiled is not None:
            spec["linux"]["seccomp"] = compiled.selected
        if self._wants_init(container) and self.init_path is None:
            raise Conflict(f"--init needs docker-init, catatonit or tini-static with the runtime {host.runtime}")

    def discard(self, container: Container) -> None:
        shutil.rmtree(container.paths.run, ignore_errors=True)

    def cgroup(self, container: Container) -> str:
        """The container's cgroup, from the root of every hierarchy."""
        return self._groups.path(container)

    def etc_files(self, container: Container) -> dict[str, str]:
        """The files of /etc that are mounted: destinations and sources. Raises NotFound when they are another's."""
        names = self._network_owner(container).paths
        if container.record.config.network_disabled:
            return {"/etc/hostname": str(names.hostname)}
        return {
            "/etc/resolv.conf": str(names.resolv_conf),
            "/etc/hostname": str(names.hostname),
            "/etc/hosts": str(names.hosts),
        }

    def _surroundings(self, container: Container) -> Surroundings:
        return Surroundings(
            root_path=str(container.paths.root),
            cgroup_path=self._groups.named(container),
            namespaces=self._joined_namespaces(container),
            etc_files=self.etc_files(container),
            init_path=self.init_path if self._wants_init(container) else None,
            devices=devices.given(container.record.host_config),
            block=devices.block_limits(container.record.host_config),
            edits=self.requests.edits(container.record.host_config),
            environment=self._files.links.environment(container),
            remap=remap.applied(self.remapping, container.record.host_config),
        )

    def _network_owner(self, container: Container) -> Container:
        """The container whose network this one is in, and whose addresses and names it therefore has."""
        mode = network_mode(container)
        return self._registry.get(mode.removeprefix("container:")) if mode.startswith("container:") else container

    def _wants_init(self, container: Container) -> bool:
        wanted = container.record.host_config.init
        return self._init_by_default if wanted is None else wanted

    def _joined_namespaces(self, container: Container) -> dict[str, str]:
        host = container.record.host_config
        asked = {"network": container.record.network_mode, "ipc": host.ipc_mode, "pid": host.pid_mode}
        files = {"network": "net", "ipc": "ipc", "pid": "pid"}
        joined = {}
        others = {}
        for kind, mode in asked.items():
            if modes.joined(mode):
                other = self._registry.get(modes.joined(mode))
                modes.check_joins(kind, other)
                joined[kind] = f"/proc/{other.pid}/ns/{files[kind]}"
                other.network_shared = other.network_shared or kind == "network"
                others[kind] = other
        mapping = remap.applied(self.remapping, host)
        if others and mapping is not None:
            joined["user"] = remap.joined(mapping, others)
        return joined
