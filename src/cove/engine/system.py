"""The API's requests about the engine itself: version, information, events, disk usage, log-in."""

import asyncio
import hashlib
import os
import platform
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cove import __version__
from cove.engine.builds.builds import Builds
from cove.engine.bundle import capacities, privileges
from cove.engine.bundle.device_requests import DeviceRequests
from cove.engine.bundle.runtimes import Runtimes
from cove.engine.containers.containers import Containers
from cove.engine.containers.registry import Registry
from cove.engine.containers.views import STORAGE_DRIVER
from cove.engine.events import eventfilters
from cove.engine.events.events import Events
from cove.engine.images.images import Images
from cove.engine.logs import options as log_options
from cove.engine.logs.options import LogDefaults
from cove.engine.usage import DiskUsages
from cove.engine.volumes.volumes import Volumes
from cove.errors import InvalidArgument
from cove.filters import Filters
from cove.kernel import filesystems
from cove.kernel.cgroups import layout
from cove.registry.client.authorization import Credentials
from cove.registry.client.login import login
from cove.registry.client.places import host_of
from cove.registry.client.settings import DEFAULTS, Registries
from cove.units import format_time, human_binary_size, now
from cove.wire import versions
from cove.wire.events import Event
from cove.wire.images import AuthConfig
from cove.wire.system import (
    AddressPool,
    AuthResponse,
    Commit,
    Component,
    DiscreteResource,
    DiskUsage,
    Firewall,
    GenericResource,
    IndexInfo,
    Info,
    NamedResource,
    PlatformName,
    Plugins,
    RegistryConfig,
    Runtime,
    Version,
)

HUB = "docker.io"

NOT_USED = "none"
"""In the place of the versions of programs that Docker runs containers with, and this engine does not."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Host(NamedTuple):
    """What of the daemon's configuration is shown. ``group``: the control group of its containers, "" if the root.

    ``unprotected``: addresses that anyone may use who reaches them. ``address_pools``: as the user has given them,
    bases (CIDR) and prefix lengths. ``resources``: of a swarm node, ``kind=name`` or ``kind=number``.
    ``labelled``: containers have labels of SELinux. ``authorization``: plug-ins that are asked about each request.
    """

    data_root: Path
    labels: Sequence[str]
    debug: bool
    init_path: str | None
    layers: str = "directories"
    seccomp: str = ""
    group: str = ""
    log_defaults: LogDefaults = LogDefaults()
    experimental: bool = False
    cgroup_driver: str = "cgroupfs"
    oldest_api: versions.ApiVersion = versions.OLDEST
    registries: Registries = DEFAULTS
    runtimes: Runtimes = Runtimes({})
    remapped: bool = False
    labelled: bool = False
    network_drivers: Sequence[str] = ()
    unprotected: Sequence[str] = ()
    address_pools: Sequence[tuple[str, int]] = ()
    resources: Sequence[str] = ()
    authorization: Sequence[str] = ()


class System:
    """Speaks for the engine as a whole."""

    def __init__(
        self,
        *,
        host: Host,
        registry: Registry,
        containers: Containers,
        images: Images,
        volumes: Volumes,
        builds: Builds,
        events: Events,
        requests: DeviceRequests,
        kernel_settings: Callable[[], Sequence[str]],
    ) -> None:
        """``kernel_settings``: those that networks have turned on."""
        self.host = host
        self._kernel_settings = kernel_settings
        self._requests = requests
        self._registry = registry
        self._usages = DiskUsages(containers, images, volumes, builds)
        self._images = images
        self._events = events

    async def version(self) -> Version:
        kernel = os.uname()
        return Version(
            platform=PlatformName(name="Cove Engine"),
            components=[
                Component(
                    name="Engine",
                    version=__version__,
                    details={
                        "ApiVersion": _dotted(versions.NEWEST),
                        "Arch": architecture(),
                        "Experimental": str(self.host.experimental).lower(),
                        "GoVersion": "",
                        "KernelVersion": kernel.release,
                        "MinAPIVersion": _dotted(self.host.oldest_api),
                        "Os": "linux",
                    },
                ),
                Component(name="Python", version=platform.python_version()),
            ],
            version=__version__,
            arch=architecture(),
            kernel_version=kernel.release,
            experimental=self.host.experimental,
        )

    async def info(self) -> Info:
        statuses = [container.status for container in self._registry]
        running, paused = statuses.count("running"), statuses.count("paused")
        discovered = await self._requests.discovered()
        info = Info(
            id=_machine_id(),
            containers=len(statuses),
            containers_running=running,
            containers_paused=paused,
            containers_stopped=len(statuses) - running - paused,
            images=len(await self._images.list(all=False, filters=Filters(), shared_size=False)),
            driver=STORAGE_DRIVER,
            driver_status=[
                ["Backing Filesystem", filesystems.name(self.host.data_root)],
                ["Supports d_type", "true"],
                ["Native Overlay Diff", "true"],
                ["userxattr", "false"],
                ["Layers", self.host.layers],
                ["Log Rotation", _log_rotation(self.host.log_defaults)],
            ],
            logging_driver=self.host.log_defaults.driver,
            plugins=_plugins(self.host),
            debug=self.host.debug,
            n_fd=len(os.listdir("/proc/self/fd")),
            system_time=format_time(now()),
            n_events_listener=self._events.listeners,
            n_goroutines=len(asyncio.all_tasks()),
            index_server_address=f"https://index.{HUB}/v1/",
            registry_config=self._registries(),
            http_proxy=self.host.registries.proxies.http,
            https_proxy=self.host.registries.proxies.https,
            no_proxy=self.host.registries.proxies.without,
            experimental_build=self.host.experimental,
            cgroup_driver=self.host.cgroup_driver,
            default_address_pools=[AddressPool(*pool) for pool in self.host.address_pools] or None,
            generic_resources=[_resource(text) for text in self.host.resources] or None,
            docker_root_dir=str(self.host.data_root),
            labels=list(self.host.labels),
            server_version=__version__,
            runtimes={
                name: Runtime(path=program.path, runtimeArgs=list(program.arguments) or None)
                for name, program in self.host.runtimes.shown().items()
            },
            default_runtime=self.host.runtimes.default,
            init_binary=self.host.init_path or "cove-init",
            security_options=_security_options(self.host),
            containerd_commit=Commit(id=NOT_USED),
            runc_commit=Commit(id=NOT_USED),
            init_commit=Commit(id=NOT_USED),
            firewall_backend=Firewall(driver="nftables", info=[["Kernel settings", " ".join(self._kernel_settings())]]),
            discovered_devices=discovered or None,
            cdi_spec_dirs=list(self._requests.directories),
            warnings=[*map(_unprotected, self.host.unprotected), *self._requests.warnings()],
        )
        self._tell_of_limits(info)
        _tell_of_machine(info)
        info.warnings = info.warnings or None
        return info

    def _tell_of_limits(self, info: Info) -> None:
        """What the kernel's control groups can limit, and what not."""
        groups = layout()
        can = capacities.look(groups, self.host.group)
        info.cgroup_version = "2" if groups.unified else "1"
        info.memory_limit, info.swap_limit = can.memory, can.swap
        info.cpu_cfs_period, info.cpu_cfs_quota = can.cpu_period, can.cpu_quota
        info.cpu_shares, info.cpu_set, info.pids_limit = can.cpu_shares, can.cpuset, can.pids
        info.ipv4_forwarding, info.oom_kill_disable = can.forwarding, can.oom_kill_disable
        info.warnings = [*capacities.warnings(can, unified=groups.unified), *(info.warnings or ())]

    def reloaded(self, values: dict[str, str]) -> None:
        """Tell that the daemon's configuration was read again. ``values``: what can change that way."""
        runtimes = " ".join(f"{name}:{program.path}" for name, program in self.host.runtimes.shown().items())
        shown = {**values, "runtimes": runtimes, "default-runtime": self.host.runtimes.default}
        self._events.publish("daemon", "reload", _machine_id(), {"name": os.uname().nodename, **shown})

    def _registries(self) -> RegistryConfig:
        mirrors = list(self.host.registries.mirrors)
        plain = [name for name in self.host.registries.insecure if "/" not in name]
        ranges = [name for name in self.host.registries.insecure if "/" in name]
        indexes = {name: IndexInfo(name=name, secure=False) for name in plain}
        return RegistryConfig(
            insecure_registry_cidrs=["::1/128", "127.0.0.0/8", *ranges],
            index_configs={HUB: IndexInfo(name=HUB, official=True, mirrors=mirrors), **indexes},
            mirrors=mirrors,
        )

    async def disk_usage(self, types: frozenset[str], *, verbose: bool) -> DiskUsage:
        return await self._usages.take(types, verbose=verbose)

    async def events(self, *, since: int | None, until: int | None, filters: Filters) -> AsyncIterator[Event]:
        filters.check(eventfilters.NAMES)
        return self._events.listen(since, until, lambda event: eventfilters.wanted(event, filters))

    async def auth(self, credentials: AuthConfig) -> AuthResponse:
        if not credentials.username and not credentials.identity_token:
            raise InvalidArgument("username: credentials for a registry need one")
        host = host_of(credentials.server_address or HUB)
        given = Credentials(credentials.username, credentials.password, credentials.identity_token)
        token = await login(host, given, self.host.registries)
        return AuthResponse(status="Login Succeeded", identity_token=token)


def _plugins(host: Host) -> Plugins:
    return Plugins(
        volume=["local"],
        network=list(host.network_drivers),
        authorization=list(host.authorization) or None,
        log=list(log_options.DRIVERS),
    )


def _security_options(host: Host) -> list[str]:
    """In Docker's order: what the kernel has, then what the engine does."""
    has = {
        "apparmor": "apparmor" in privileges.security_modules(),
        f"seccomp,profile={host.seccomp}": bool(host.seccomp),
        "selinux": host.labelled,
        "userns": host.remapped,
        "cgroupns": True,
    }
    return [f"name={name}" for name, there in has.items() if there]


def _resource(text: str) -> GenericResource:
    """A whole number is how many there are, as Docker reads it."""
    kind, _, value = (part.strip() for part in text.partition("="))
    if value.isdecimal():
        return GenericResource(discrete_resource_spec=DiscreteResource(kind, int(value)))
    return GenericResource(named_resource_spec=NamedResource(kind, value))


def _log_rotation(defaults: LogDefaults) -> str:
    """How much is kept of the output of a container that says nothing of it."""
    found = log_options.rotation(defaults.driver, defaults.options)
    return f"{found.max_file} files of {human_binary_size(found.max_size)}" if found is not None else "no files"


def _dotted(version: versions.ApiVersion) -> str:
    return f"{version[0]}.{version[1]}"


def architecture() -> str:
    """Docker's name of the machine's architecture."""
    machine = os.uname().machine
    return ARCHITECTURES.get(machine, machine)


def _tell_of_machine(info: Info) -> None:
    kernel, system = os.uname(), _release()
    info.name, info.kernel_version, info.architecture = kernel.nodename, kernel.release, kernel.machine
    info.operating_system, info.os_version = system.get("PRETTY_NAME", "Linux"), system.get("VERSION_ID", "")
    info.ncpu = os.cpu_count() or 1
    info.mem_total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _release() -> dict[str, str]:
    """What os-release(5) says; nothing where there is no such file."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _machine_id() -> str:
    """An id of the engine that is the same after a restart, and does not give the machine's own away."""
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except OSError:
        machine = os.uname().nodename
    digest = hashlib.sha256(f"cove {machine}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def _unprotected(address: str) -> str:
    """Docker's warning; ``address``: ``http://HOST:PORT`` without encryption, ``https://…`` without verification."""
    missing = "TLS client verification" if address.startswith("https:") else "encryption"
    return (
        f"WARNING: API is accessible on {address} without {missing}.\n"
        "         Access to the remote API is equivalent to root access on the host."
    )
