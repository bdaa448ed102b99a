"""The programs of a build: started as containers are, by the same runtime, but with no row and for the build alone.

What a daemon that is killed leaves of them is found at the next start: a shim without a container is ended, directories
and addresses without one are released (``engine.lifecycle.recovery``).
"""

import asyncio
import contextlib
import errno
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cove.build.solving.running import Command, Limits, Output, Ran, StepMount
from cove.engine import emulation
from cove.engine.bundle.bundles import Bundles
from cove.engine.bundle.defaults import Defaults
from cove.engine.containers import creation
from cove.engine.containers.container import Container, Locations
from cove.engine.containers.record import MountPoint, Record
from cove.engine.lifecycle.shims import Shim, Zygote
from cove.engine.lifecycle.streams import attachment, socket_pair
from cove.engine.lifecycle.transitions import notice
from cove.engine.networking.connectivity import Connectivity
from cove.engine.networking.namefiles import NameFiles
from cove.engine.networking.nameservice import NameService
from cove.engine.networking.sandboxes import uses_resolver
from cove.errors import Internal, InvalidArgument, NoSpace
from cove.kernel.cgroups import Cgroup, layout
from cove.oci import image as oci
from cove.platform import Platform, host
from cove.wire.containers import ContainerCreate
from cove.wire.host_config import DeviceRequest, HostConfig, LogConfig, Ulimit

READ = 1 << 16
_FRAME = 8
"""Bytes of the head of a multiplexed frame: stream, three zeros, length."""
_KERNEL_PLACES = ("proc", "dev", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", ".dockerenv")


class BuildSteps:
    """Meets ``build.running.Runner``."""

    def __init__(
        self,
        *,
        connectivity: Connectivity,
        names: NameService,
        files: NameFiles,
        bundles: Bundles,
        zygote: Zygote,
        locations: Locations,
    ) -> None:
        self._connectivity = connectivity
        self._names = names
        self._files = files
        self._bundles = bundles
        self._zygote = zygote
        self._locations = locations
        self.defaults = Defaults()

    def check(self, limits: Limits) -> None:
        request = ContainerCreate(cmd=["/"], host_config=_host_config(limits, limits.network))
        self._record(request, "0" * 64)

    @asynccontextmanager
    async def run(self, command: Command, output: Output) -> AsyncIterator[Ran]:
        check_platform(command.platform)
        container = self._container(command, await self._devices(command))
        try:
            try:
                _make_directories(container)
                code = await self._run(container, command, output)
            except OSError as error:
                kind = NoSpace if error.errno == errno.ENOSPC else Internal
                raise kind(f"cannot run a step of the build: {error}") from error
            stubs = [*_KERNEL_PLACES, *(mount.destination.strip("/") for mount in command.mounts)]
            yield Ran(code, str(container.paths.upper), stubs)
        finally:
            await asyncio.shield(self._discard(container))

    async def _devices(self, command: Command) -> list[str]:
        """The devices that a program gets; those that are required are named even when they are not there."""
        return await self._bundles.requests.chosen([(each.name, each.required) for each in command.devices])

    def _container(self, command: Command, devices: list[str]) -> Container:
        network = command.limits.network if command.network == "default" else command.network
        host = _host_config(command.limits, network)
        host.privileged = command.insecure
        host.device_requests = [DeviceRequest(driver="cdi", device_ids=devices)] if devices else []
        request = ContainerCreate(
            cmd=list(command.arguments),
            env=list(command.environment),
            working_dir=command.directory,
            user=command.user,
            hostname=command.hostname,
            host_config=host,
        )
        record = self._record(request, command.id)
        record.mounts = [_mount_point(mount) for mount in command.mounts]
        return Container(record, self._locations.paths(record.id))

    def _record(self, request: ContainerCreate, container_id: str) -> Record:
        bare = oci.ImageConfig("", "linux", oci.RootFS())
        made = creation.record(
            request,
            name=f"build-{container_id[:12]}",
            image_id="",
            image=bare,
            image_name="",
            defaults=self.defaults,
        )
        self._bundles.choose_runtime(made.host_config)
        self._bundles.check_parent(made.host_config)
        self._bundles.check_ids(made.host_config)
        made.id = container_id
        if not request.hostname and made.config.hostname != socket.gethostname():
            made.config.hostname = container_id[:12]
        return made

    async def _run(self, container: Container, command: Command, output: Output) -> int:
        ours, theirs = socket_pair()
        wish = attachment(stdin=False, stdout=True, stderr=True, detach_keys="")
        container.waiting.append((wish, theirs))
        try:
            shim = await self._launch(container, list(command.lower))
            with ours:
                await _relay(ours, output)
            exited = await asyncio.shield(shim.exited)
            return exited.exit_code if exited is not None else 137
        finally:
            container.drop_waiting()
            ours.close()

    async def _launch(self, container: Container, lower: list[str]) -> Shim:
        self._connectivity.settle(container)
        prepared = asyncio.ensure_future(self._connectivity.prepare(container))
        if uses_resolver(container):
            self._names.warm()
        try:
            await self._bundles.prepare(container.record.host_config)
            start, streams = self._bundles.write(container, lower)
            shim = container.shim = self._zygote.start(start, streams)
            container.pid, namespace = await notice(shim, shim.created)
            try:
                if await prepared:
                    await self._names.place(container, namespace)
                    interfaces = await self._connectivity.connect(container, namespace)
                    self._files.write_hosts(container)
                    shim.configure(interfaces)
            finally:
                os.close(namespace)
            await notice(shim, shim.started)
            return shim
        finally:
            with contextlib.suppress(Exception):
                await prepared

    async def _discard(self, container: Container) -> None:
        """End what still runs of it, and then remove all that it had: whole, even if nobody waits for that."""
        if container.shim is not None:
            await container.shim.abandon()
        self._names.remove(container.id)
        await self._connectivity.release(container)
        self._bundles.discard(container)
        await asyncio.to_thread(_remove, container, self._bundles.cgroup(container))


def check_platform(text: str) -> None:
    """Raises InvalidArgument when the host can run no programs of this platform, itself or by an emulator."""
    wanted = Platform.parse(text) if text else host()
    if not emulation.runs(wanted):
        raise InvalidArgument(emulation.lack(wanted))


def _remove(container: Container, group: str) -> None:
    cgroup = Cgroup(layout(), group)
    with contextlib.suppress(OSError):
        cgroup.kill()
    with contextlib.suppress(OSError):
        cgroup.remove()
    shutil.rmtree(container.paths.data, ignore_errors=True)


def _make_directories(container: Container) -> None:
    paths = container.paths
    paths.data.mkdir(mode=0o710)
    for directory in (paths.upper, paths.work, paths.root):
        directory.mkdir(mode=0o755)
    for file in (paths.hosts, paths.hostname, paths.resolv_conf):
        file.touch(mode=0o644)


def _host_config(limits: Limits, network: str) -> HostConfig:
    return HostConfig(
        network_mode=network,
        extra_hosts=list(limits.extra_hosts),
        shm_size=limits.shm_size,
        ulimits=[Ulimit(name=name, soft=soft, hard=hard) for name, soft, hard in limits.ulimits],
        memory=limits.memory,
        memory_swap=limits.memory_swap,
        cpu_shares=limits.cpu_shares,
        cpu_period=limits.cpu_period,
        cpu_quota=limits.cpu_quota,
        cpuset_cpus=limits.cpuset_cpus,
        cpuset_mems=limits.cpuset_mems,
        cgroup_parent=limits.cgroup_parent,
        security_opt=list(limits.security_opt),
        isolation=limits.isolation,
        log_config=LogConfig(type="none"),
    )


def _mount_point(mount: StepMount) -> MountPoint:
    if mount.kind == "tmpfs":
        options = ["nosuid", "nodev", *([f"size={mount.size}"] if mount.size else [])]
        return MountPoint("tmpfs", mount.destination, options=options)
    if mount.kind == "layers":
        lower = [f"lower={layer}" for layer in mount.lower]
        return MountPoint("layers", mount.destination, mount.subpath, options=lower, writable=mount.writable)
    return MountPoint("bind", mount.destination, mount.source, writable=mount.writable)


async def _relay(stream: socket.socket, output: Output) -> None:
    """Hand on what the program writes, until it ends."""
    stream.setblocking(False)
    loop, pending = asyncio.get_running_loop(), bytearray()
    while piece := await loop.sock_recv(stream, READ):
        pending += piece
        while len(pending) >= _FRAME:
            length = int.from_bytes(pending[4:_FRAME], "big")
            if len(pending) < _FRAME + length:
                break
            output(pending[0], bytes(pending[_FRAME : _FRAME + length]))
            del pending[: _FRAME + length]
