"""What moves containers between their states, put together; and what an earlier daemon left running."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from cove.daemon import apparmor, cgroup_driver
from cove.daemon.roots import Roots
from cove.daemon.settings import Settings
from cove.daemon.stores import Stores
from cove.daemon.subordinate import remap
from cove.engine.builds.passing import Passing
from cove.engine.bundle import groups, privileges, selinux
from cove.engine.bundle.bundles import Bundles
from cove.engine.bundle.device_requests import DeviceRequests
from cove.engine.bundle.runtimes import Program, Runtimes
from cove.engine.bundle.seccomp import Seccomp
from cove.engine.bundle.selinux import Labelling
from cove.engine.containers.container import Locations
from cove.engine.containers.registry import Registry
from cove.engine.events.announcements import Announcements
from cove.engine.events.eventlog import Bounds, EventLog
from cove.engine.events.events import Events
from cove.engine.images import workshop
from cove.engine.lifecycle.execs import Execs
from cove.engine.lifecycle.health import Probes
from cove.engine.lifecycle.recovery import Recovery
from cove.engine.lifecycle.remedies import Remedies
from cove.engine.lifecycle.runs import Runs
from cove.engine.lifecycle.shims import Zygote
from cove.engine.lifecycle.stopping import Stopping
from cove.engine.lifecycle.transitions import Transitions
from cove.engine.mounting.live_mounts import LiveMounts
from cove.engine.mounting.mount_sources import MountSources
from cove.engine.networking.connectivity import Connectivity
from cove.engine.networking.etcfiles import Wishes
from cove.engine.networking.learned import Learned
from cove.engine.networking.link_exceptions import LinkExceptions
from cove.engine.networking.links import Links
from cove.engine.networking.namefiles import NameFiles
from cove.engine.networking.nameservice import NameService
from cove.engine.networking.policies import Policies
from cove.engine.networking.promises import Promises
from cove.engine.networking.repairs import Repairs
from cove.engine.networking.sandboxes import Sandboxes
from cove.engine.removing.last_use import LastUse
from cove.engine.removing.removal import Removal
from cove.engine.volumes.mounts import VolumeMounts
from cove.kernel.cgroups import layout
from cove.store import Database

INITS = ("/usr/libexec/docker/docker-init", "/usr/bin/catatonit", "/usr/bin/tini-static")
"""Static inits that may be mounted into a container for --init; without one the runtime's own is used."""


@dataclass(frozen=True)
class Groundwork:
    """What stands on the stores alone: what is known of containers, and what a start of one is made of."""

    registry: Registry
    connectivity: Connectivity
    names: NameService
    files: NameFiles
    links: Links
    exceptions: LinkExceptions
    bundles: Bundles
    seccomp: Seccomp
    zygote: Zygote
    events: Events
    announcements: Announcements
    mounts: VolumeMounts
    runs: Runs
    uses: LastUse
    learned: Learned


@dataclass(frozen=True)
class Engine(Groundwork):
    """What moves containers between their states, and what it needs."""

    execs: Execs
    stopping: Stopping
    removal: Removal
    transitions: Transitions
    remedies: Remedies
    repairs: Repairs
    policies: Policies
    sources: MountSources
    live_mounts: LiveMounts
    group: str


def make_engine(settings: Settings, roots: Roots, database: Database, stores: Stores) -> Engine:
    """Nothing is started yet: ``recover`` does that."""
    ground = _groundwork(settings, roots, database, stores)
    execs = Execs(ground.registry, ground.events, ground.links.environment)
    probes = Probes(execs, ground.registry, ground.events)
    stopping = Stopping(ground.registry, ground.bundles, ground.announcements, probes)
    removal = _removal(settings, stores, ground, stopping)
    transitions = _transitions(stores, ground, probes, stopping, removal)
    remedies = Remedies(transitions, stopping, ground.announcements)
    sources = MountSources(stores.volumes, stores.images, ground.bundles, ground.announcements)
    probes.on_failure = remedies.apply
    return Engine(
        **vars(ground),
        execs=execs,
        stopping=stopping,
        removal=removal,
        transitions=transitions,
        remedies=remedies,
        repairs=Repairs(stores.networks, ground.registry, ground.connectivity),
        policies=_policies(stores, ground),
        sources=sources,
        live_mounts=LiveMounts(ground.registry, ground.mounts, stores.volumes, stores.worker, sources, ground.bundles),
        group=_prepared_group(settings),
    )


def _groundwork(settings: Settings, roots: Roots, database: Database, stores: Stores) -> Groundwork:
    registry, connectivity = Registry(database), Connectivity(stores.networks)
    promises = Promises()
    registry.on_record.append(promises.note)
    registry.on_remove.append(promises.forget)
    stores.networks.keep_back(promises.on)
    events = Events(EventLog(database, Bounds(settings.events_kept, settings.events_hours)))
    announcements, uses = Announcements(events, connectivity), LastUse(database)
    announcements.on_use.append(uses.note_image)
    events.watchers.append(uses.heed)
    links = Links(registry, connectivity)
    dns = Wishes(settings.dns, settings.dns_search, settings.dns_opts)
    files = NameFiles(connectivity, links, dns, settings.host_gateway_ips)
    sandboxes = Sandboxes(registry, stores.networks, connectivity, servers=settings.dns, options=settings.dns_opts)
    seccomp = Seccomp(roots.data / "seccomp", settings.seccomp_profile)
    return Groundwork(
        registry=registry,
        connectivity=connectivity,
        names=NameService(registry, sandboxes, roots.run),
        files=files,
        links=links,
        exceptions=LinkExceptions(registry, stores.networks, connectivity, links),
        bundles=_bundles(settings, registry, connectivity, files, seccomp),
        seccomp=seccomp,
        zygote=Zygote(),
        events=events,
        announcements=announcements,
        mounts=VolumeMounts(registry, stores.volumes, stores.images),
        runs=Runs(database),
        uses=uses,
        learned=Learned(database),
    )


def _removal(settings: Settings, stores: Stores, ground: Groundwork, stopping: Stopping) -> Removal:
    return Removal(
        registry=ground.registry,
        images=stores.images,
        volumes=stores.volumes,
        connectivity=ground.connectivity,
        bundles=ground.bundles,
        announcements=ground.announcements,
        stopping=stopping,
        trash=stores.trash,
        learned=ground.learned,
        keeps_auto_removed=settings.trash_auto_removed,
    )


def _transitions(
    stores: Stores, ground: Groundwork, probes: Probes, stopping: Stopping, removal: Removal
) -> Transitions:
    return Transitions(
        registry=ground.registry,
        images=stores.images,
        connectivity=ground.connectivity,
        exceptions=ground.exceptions,
        names=ground.names,
        files=ground.files,
        bundles=ground.bundles,
        zygote=ground.zygote,
        announcements=ground.announcements,
        probes=probes,
        stopping=stopping,
        removal=removal,
        trash=stores.trash,
        runs=ground.runs,
        mounts=ground.mounts,
    )


def _policies(stores: Stores, ground: Groundwork) -> Policies:
    return Policies(
        registry=ground.registry,
        networks=stores.networks,
        connectivity=ground.connectivity,
        names=ground.names,
        files=ground.files,
        announcements=ground.announcements,
        learned=ground.learned,
    )


def _bundles(
    settings: Settings, registry: Registry, connectivity: Connectivity, files: NameFiles, seccomp: Seccomp
) -> Bundles:
    return Bundles(
        registry,
        connectivity,
        files,
        seccomp,
        groups=cgroup_driver.names(settings),
        init_path=settings.init_path or next((path for path in INITS if Path(path).exists()), None),
        init=settings.init,
        runtimes=Runtimes(programs(settings), settings.default_runtime),
        remapping=remap(settings.userns_remap),
        requests=DeviceRequests(cdi_directories(settings)),
        apparmor=apparmor.ensure(privileges.security_modules()),
        labelling=Labelling(selinux.defaults() if labels_containers(settings) else None),
    )


def labels_containers(settings: Settings) -> bool:
    """Whether containers have SELinux's labels."""
    return settings.selinux_enabled and "selinux" in privileges.security_modules()


def cdi_directories(settings: Settings) -> tuple[str, ...]:
    """None when the feature ``cdi`` is turned off."""
    return settings.cdi_spec_dirs if settings.features.get("cdi", True) else ()


def _prepared_group(settings: Settings) -> str:
    """The control group of all containers, made; "" when it is systemd's to make."""
    names = cgroup_driver.names(settings)
    realtime = settings.cpu_rt_period, settings.cpu_rt_runtime
    return "" if names.systemd else groups.prepare(layout(), names.parent, realtime)


async def recover(roots: Roots, database: Database, stores: Stores, engine: Engine, stack: AsyncExitStack) -> None:
    """Find what an earlier daemon left running, before anyone asks."""
    recovery = Recovery(
        database=database,
        registry=engine.registry,
        transitions=engine.transitions,
        stopping=engine.stopping,
        removal=engine.removal,
        networks=stores.networks,
        names=engine.names,
        connectivity=engine.connectivity,
        exceptions=engine.exceptions,
        mounts=engine.mounts,
        locations=Locations(roots.data, roots.run),
    )
    recovery.load()
    stack.callback(engine.zygote.close)
    stores.images.layers.on_remove = engine.zygote.forget
    engine.zygote.warm()
    await stores.networks.open()
    stack.push_async_callback(stores.networks.close)
    stack.callback(engine.policies.close)
    stack.callback(engine.names.close)
    stack.push_async_callback(engine.removal.close)
    stack.push_async_callback(engine.transitions.close)
    stack.push_async_callback(engine.remedies.close)
    stores.trash.watch()
    await recovery.reconcile()
    await engine.live_mounts.finish()
    stack.push_async_callback(engine.repairs.close)
    engine.repairs.watch()
    await workshop.collect(engine.registry, engine.removal, stores.images)
    await Passing(stores.images, engine.registry, engine.removal).collect()
    await recovery.apply_policies()


def programs(settings: Settings) -> dict[str, Program]:
    """The runtimes of the configuration."""
    return {name: Program(given.path, given.arguments) for name, given in settings.runtimes.items()}
