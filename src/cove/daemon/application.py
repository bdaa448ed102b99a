"""Every service of the daemon, built in order, and taken down in the reverse order."""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cove.daemon import api_versions, cgroup_driver, posture
from cove.daemon.audit_log import AuditLog
from cove.daemon.flag_values import mirror
from cove.daemon.listeners import listeners
from cove.daemon.notify import notify
from cove.daemon.reload import Reload, attributes
from cove.daemon.roots import Roots
from cove.daemon.scoped_sockets import ScopedSockets
from cove.daemon.settings import Settings
from cove.daemon.subordinate import remap
from cove.daemon.tls import context as tls_context
from cove.engine import groups
from cove.engine.announcements import Announcements
from cove.engine.archives import Archives
from cove.engine.bundles import Bundles
from cove.engine.connectivity import Connectivity
from cove.engine.containers import Containers
from cove.engine.defaults import Defaults
from cove.engine.device_requests import DeviceRequests
from cove.engine.doctor import Doctor, Standing
from cove.engine.doctor.check import examine
from cove.engine.etcfiles import Wishes
from cove.engine.eventlog import Bounds, EventLog
from cove.engine.events import Events
from cove.engine.execs import Execs
from cove.engine.health import Probes
from cove.engine.images import Images
from cove.engine.learned import Learned
from cove.engine.lifecycle import Lifecycle
from cove.engine.links import Links
from cove.engine.log_options import LogDefaults
from cove.engine.members import Members
from cove.engine.memberships import Memberships
from cove.engine.namefiles import NameFiles
from cove.engine.nameservice import NameService
from cove.engine.networks import Networks
from cove.engine.output import Output
from cove.engine.policies import Policies
from cove.engine.publications import Publications
from cove.engine.recovery import Recovery
from cove.engine.registry import Registry
from cove.engine.remedies import Remedies
from cove.engine.removal import Removal
from cove.engine.removed import Removed
from cove.engine.repairs import Repairs
from cove.engine.runs import Runs
from cove.engine.runtimes import Program, Runtimes
from cove.engine.sandboxes import Sandboxes
from cove.engine.seccomp import Seccomp
from cove.engine.shims import Zygote
from cove.engine.sizes import tree_size
from cove.engine.statistics import Statistics
from cove.engine.stopping import Stopping
from cove.engine.system import Host, System
from cove.engine.transfers import Transfers
from cove.engine.transitions import Transitions
from cove.engine.undo import Undo
from cove.engine.views import Views
from cove.engine.volumes import Volumes
from cove.engine.why import Reasons
from cove.errors import Conflict, Unavailable
from cove.images import Images as ImageStore
from cove.kernel.cgroups import layout
from cove.layers import Worker, storage_driver
from cove.network import DEFAULT_MTU, DOCKER_POOLS, NetworkSettings
from cove.network import Networks as NetworkStore
from cove.server.app import serve
from cove.server.services import Services
from cove.store import Database
from cove.trash import Budget, Trash
from cove.units import parse_size
from cove.volumes import Volumes as VolumeStore

log = logging.getLogger(__name__)

INITS = ("/usr/libexec/docker/docker-init", "/usr/bin/catatonit", "/usr/bin/tini-static")
"""Static inits that may be mounted into a container for --init; without one the runtime's own is used."""


@asynccontextmanager
async def application(settings: Settings, reload: Reload) -> AsyncIterator[None]:
    """The daemon from its roots to its listening sockets, while the context lasts."""
    tls = tls_context(settings)
    cgroup_driver.check_machine(settings)
    async with AsyncExitStack() as stack:
        roots = Roots(Path(settings.data_root), Path(settings.exec_root))
        stack.callback(roots.close)
        _empty(roots.data / "tmp")
        database = Database(roots.data / "cove.db")
        stack.callback(database.close)
        stores = await _stores(settings, roots, database, stack)
        engine = _engine(settings, roots, database, stores)
        await _recover(roots, database, stores, engine, stack)
        members = Members(engine.registry, engine.execs, stores.volumes, stores.networks)
        scoped = ScopedSockets(database, roots.run / "sockets", members)
        services = _services(settings, roots, stores, engine, reload, scoped)
        server = await serve(services, listeners(settings), tls, _audit(settings, roots, stack), api_versions.oldest())
        stack.push_async_callback(server.stop, settings.shutdown_timeout)
        stack.callback(engine.events.close)
        await scoped.open(server)
        stack.callback(scoped.close)
        _remove_sockets_at_end(settings, stack)
        yield


@dataclass(frozen=True)
class Stores:
    """What lies on disk: images, volumes, networks; and the worker that writes it."""

    images: ImageStore
    volumes: VolumeStore
    networks: NetworkStore
    worker: Worker
    trash: Trash


@dataclass(frozen=True)
class Engine:
    """What moves containers between their states, and what it needs."""

    registry: Registry
    connectivity: Connectivity
    names: NameService
    files: NameFiles
    links: Links
    bundles: Bundles
    runtimes: Runtimes
    requests: DeviceRequests
    seccomp: Seccomp
    zygote: Zygote
    events: Events
    execs: Execs
    announcements: Announcements
    stopping: Stopping
    removal: Removal
    transitions: Transitions
    remedies: Remedies
    runs: Runs
    repairs: Repairs
    policies: Policies
    init_path: str | None
    group: str


async def _stores(settings: Settings, roots: Roots, database: Database, stack: AsyncExitStack) -> Stores:
    worker = Worker()
    stack.push_async_callback(worker.close)
    images = ImageStore(database, roots.data, worker, storage_driver.choose(settings.storage_driver, roots.data))
    await images.open()
    stack.push_async_callback(images.close)
    trash = Trash(database, roots.data, Budget(settings.trash_minutes, settings.trash_percent), tree_size)
    trash.open()
    stack.push_async_callback(trash.close)
    volumes = VolumeStore(database, roots.data)
    volumes.open()
    networks = NetworkStore(database, _network_settings(settings))
    return Stores(images, volumes, networks, worker, trash)


def _network_settings(settings: Settings) -> NetworkSettings:
    given = NetworkSettings(
        bip=settings.bip,
        bip6=settings.bip6,
        range4=settings.fixed_cidr,
        range6=settings.fixed_cidr_v6,
        gateway4=settings.default_gateway,
        gateway6=settings.default_gateway_v6,
        ipv6=settings.ipv6,
        icc=settings.icc,
        mtu=settings.mtu or DEFAULT_MTU,
        ip_forward=settings.ip_forward,
        masquerade=settings.ip_masq,
        host_address="" if settings.ip == "0.0.0.0" else settings.ip,
        families=tuple(family for family, ours in ((4, settings.iptables), (6, settings.ip6tables)) if ours),
        direct_routing=settings.allow_direct_routing,
        publish=settings.publish,
        network_options=settings.default_network_opts,
        pools=tuple((pool.base, pool.size) for pool in settings.default_address_pools) or DOCKER_POOLS,
        identity=_machine_identity(),
    )
    return replace(given, bridge=settings.bridge) if settings.bridge else given


def _machine_identity() -> str:
    """What tells this machine from others, or its name where there is nothing better."""
    try:
        return Path("/etc/machine-id").read_text().strip() or socket.gethostname()
    except OSError:
        return socket.gethostname()


def _engine(settings: Settings, roots: Roots, database: Database, stores: Stores) -> Engine:
    registry, zygote = Registry(database), Zygote()
    events = Events(EventLog(database, Bounds(settings.events_kept, settings.events_hours)))
    connectivity = Connectivity(stores.networks)
    init_path = settings.init_path or next((path for path in INITS if Path(path).exists()), None)
    seccomp = Seccomp(roots.data / "seccomp", settings.seccomp_profile)
    links = Links(registry, connectivity)
    dns = Wishes(settings.dns, settings.dns_search, settings.dns_opts)
    files = NameFiles(connectivity, links, dns, settings.host_gateway_ips)
    runtimes = Runtimes(_programs(settings), settings.default_runtime)
    requests = DeviceRequests(settings.cdi_spec_dirs if settings.features.get("cdi", True) else ())
    group_names = cgroup_driver.names(settings)
    bundles = Bundles(
        registry,
        connectivity,
        files,
        seccomp,
        groups=group_names,
        init_path=init_path,
        init=settings.init,
        runtimes=runtimes,
        remapping=remap(settings.userns_remap),
        requests=requests,
    )
    sandboxes = Sandboxes(registry, stores.networks, connectivity, servers=settings.dns, options=settings.dns_opts)
    names = NameService(registry, sandboxes, roots.run)
    execs = Execs(registry, events, links.environment)
    announcements, probes = Announcements(events, connectivity), Probes(execs, registry, events)
    stopping = Stopping(registry, bundles, announcements, probes)
    removal = Removal(
        registry=registry,
        images=stores.images,
        volumes=stores.volumes,
        connectivity=connectivity,
        bundles=bundles,
        announcements=announcements,
        stopping=stopping,
        trash=stores.trash,
        keeps_auto_removed=settings.trash_auto_removed,
    )
    runs = Runs(database)
    transitions = Transitions(
        registry=registry,
        images=stores.images,
        connectivity=connectivity,
        names=names,
        files=files,
        bundles=bundles,
        zygote=zygote,
        announcements=announcements,
        probes=probes,
        stopping=stopping,
        removal=removal,
        trash=stores.trash,
        runs=runs,
    )
    remedies = Remedies(transitions, stopping, announcements)
    probes.on_failure = remedies.apply
    return Engine(
        remedies=remedies,
        runs=runs,
        registry=registry,
        connectivity=connectivity,
        names=names,
        files=files,
        links=links,
        bundles=bundles,
        runtimes=runtimes,
        requests=requests,
        seccomp=seccomp,
        zygote=zygote,
        events=events,
        execs=execs,
        announcements=announcements,
        stopping=stopping,
        removal=removal,
        transitions=transitions,
        repairs=Repairs(stores.networks, registry, connectivity),
        policies=Policies(
            registry=registry,
            networks=stores.networks,
            connectivity=connectivity,
            names=names,
            files=files,
            announcements=announcements,
            learned=Learned(database),
        ),
        init_path=init_path,
        group="" if group_names.systemd else groups.prepare(layout(), group_names.parent),
    )


async def _recover(roots: Roots, database: Database, stores: Stores, engine: Engine, stack: AsyncExitStack) -> None:
    """Find what an earlier daemon left running, before anyone asks."""
    recovery = Recovery(
        database=database,
        registry=engine.registry,
        transitions=engine.transitions,
        removal=engine.removal,
        networks=stores.networks,
        names=engine.names,
        connectivity=engine.connectivity,
        data_root=roots.data,
        run_root=roots.run,
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
    stack.push_async_callback(engine.repairs.close)
    engine.repairs.watch()
    await recovery.apply_policies()


def _services(
    settings: Settings, roots: Roots, stores: Stores, engine: Engine, reload: Reload, sockets: ScopedSockets
) -> Services:
    registry, announcements, events = engine.registry, engine.announcements, engine.events
    containers = Containers(
        registry=registry,
        stopping=engine.stopping,
        removal=engine.removal,
        announcements=announcements,
        images=stores.images,
        volumes=stores.volumes,
        bundles=engine.bundles,
        names=engine.names,
        links=engine.links,
        publications=Publications(registry, engine.connectivity),
        policies=engine.policies,
        views=Views(stores.networks, engine.connectivity, engine.links),
        worker=stores.worker,
        trash=stores.trash,
        data_root=roots.data,
        run_root=roots.run,
        group=engine.group,
    )
    archives = Archives(
        registry=registry,
        announcements=announcements,
        images=stores.images,
        bundles=engine.bundles,
        worker=stores.worker,
    )
    images = Images(stores.images, containers.image_users, events)
    volumes = Volumes(stores.volumes, registry, events)
    system = System(
        host=_host(settings, roots, stores, engine),
        registry=registry,
        containers=containers,
        images=images,
        volumes=volumes,
        events=events,
        requests=engine.requests,
    )
    memberships = Memberships(
        networks=stores.networks,
        registry=registry,
        connectivity=engine.connectivity,
        events=events,
        names=engine.names,
        files=engine.files,
    )
    containers.defaults = _defaults(settings)
    doctor = Doctor(registry, _standing(settings, roots, stores, engine))

    def reloaded(fresh: Settings) -> None:
        containers.defaults = _defaults(fresh)
        engine.runtimes.configure(_programs(fresh), fresh.default_runtime)
        system.host = _host(fresh, roots, stores, engine)
        doctor.standing = _standing(fresh, roots, stores, engine)
        system.reloaded(attributes(fresh))

    reload.listeners.append(reloaded)
    removed = Removed(stores.trash)
    output = Output(registry, removed, announcements, Statistics(registry, engine.bundles))
    return Services(
        containers=containers,
        lifecycle=Lifecycle(registry, engine.transitions, engine.stopping),
        output=output,
        egress=engine.policies,
        reasons=Reasons(registry, removed, engine.runs, output, engine.bundles),
        archives=archives,
        execs=engine.execs,
        images=images,
        transfers=Transfers(stores.images, events, roots.data / "tmp"),
        networks=Networks(stores.networks, registry, events, memberships, engine.names),
        volumes=volumes,
        sockets=sockets,
        doctor=doctor,
        system=system,
        trash=Undo(
            trash=stores.trash,
            registry=registry,
            containers=containers,
            volumes=stores.volumes,
            connectivity=engine.connectivity,
            announcements=announcements,
        ),
    )


def _host(settings: Settings, roots: Roots, stores: Stores, engine: Engine) -> Host:
    proxies = settings.proxies
    return Host(
        roots.data,
        settings.labels,
        settings.debug,
        engine.init_path,
        _layers(stores),
        engine.seccomp.shown,
        engine.group,
        _log_defaults(settings),
        settings.experimental,
        cgroup_driver.names(settings).driver,
        tuple(map(mirror, settings.registry_mirrors)),
        api_versions.oldest(),
        settings.insecure_registries,
        (
            settings.http_proxy or proxies.http_proxy,
            settings.https_proxy or proxies.https_proxy,
            settings.no_proxy or proxies.no_proxy,
        ),
        engine.runtimes,
        engine.bundles.remapping is not None,
    )


def _layers(stores: Stores) -> str:
    return "EROFS images" if stores.images.layers.driver == "erofs" else "directories"


def _standing(settings: Settings, roots: Roots, stores: Stores, engine: Engine) -> Standing:
    """What is looked at when somebody asks what is unsafe."""
    unix = [address.removeprefix("unix://") for address in settings.listen_addresses() if address.startswith("unix://")]
    return Standing(
        data_root=roots.data,
        run_root=roots.run,
        group=engine.group,
        layers=_layers(stores),
        sockets=unix,
        seccomp=settings.seccomp_profile,
        remapped=bool(settings.userns_remap),
        configured=lambda: examine(posture.CHECKS, settings, "daemon"),
    )


def _programs(settings: Settings) -> dict[str, Program]:
    """The runtimes of the configuration."""
    return {name: Program(given.path, given.arguments) for name, given in settings.runtimes.items()}


def _defaults(settings: Settings) -> Defaults:
    size = settings.default_shm_size
    return Defaults(
        shm_size=parse_size(size) if isinstance(size, str) else size,
        ipc_mode=settings.default_ipc_mode,
        cgroupns_mode=settings.default_cgroupns_mode,
        ulimits=tuple(settings.default_ulimits.values()),
        no_new_privileges=settings.no_new_privileges,
        log=_log_defaults(settings),
    )


def _log_defaults(settings: Settings) -> LogDefaults:
    return LogDefaults(settings.log_driver, settings.log_opts)


def _audit(settings: Settings, roots: Roots, stack: AsyncExitStack) -> AuditLog | None:
    """The log of requests. Raises Unavailable when it cannot be opened: nothing is to happen unseen."""
    if settings.audit_log == "none":
        return None
    path = Path(settings.audit_log) if settings.audit_log else roots.data / "audit.log"
    try:
        audit = AuditLog(path)
    except OSError as error:
        raise Unavailable(f"audit-log {path}: {error.strerror}") from error
    stack.callback(audit.close)
    return audit


def _empty(directory: Path) -> None:
    """Delete what an earlier daemon left half made."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _remove_sockets_at_end(settings: Settings, stack: AsyncExitStack) -> None:
    for address in settings.listen_addresses():
        if address.startswith("unix://"):
            path = Path(address.removeprefix("unix://"))
            stack.callback(path.unlink, missing_ok=True)


async def run(settings: Settings, stop: asyncio.Event, reload: Reload) -> None:
    """Serve until ``stop`` is set. Raises CoveError when the daemon cannot start."""
    async with application(settings, reload):
        with _pidfile(settings.pidfile):
            log.info("listening on %s", ", ".join(settings.listen_addresses()))
            notify("READY=1")
            await stop.wait()
            notify("STOPPING=1")
            log.info("stopping; containers go on running")


@contextlib.contextmanager
def _pidfile(path: str) -> Iterator[None]:
    """Raises Conflict when the file names a process that runs."""
    if not path:
        yield
        return
    file = Path(path)
    if file.exists() and _alive(file):
        raise Conflict(f"the pid file {path} names a process that runs: remove it if that is no daemon")
    file.write_text(str(os.getpid()))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _alive(file: Path) -> bool:
    text = file.read_text().strip()
    return text.isdecimal() and Path(f"/proc/{text}").exists()
