"""What the server calls, put together from the stores and the engine."""

from dataclasses import dataclass
from pathlib import Path

from cove.build.builder import Builder
from cove.build.cache.cache_mounts import CacheMounts
from cove.build.contexts import KeptContexts, RemoteContexts
from cove.daemon import api_versions, cgroup_driver, posture, registry_entries
from cove.daemon.engine import Engine, cdi_directories, labels_containers, programs
from cove.daemon.flag_values import mirror
from cove.daemon.reload import Reload, attributes
from cove.daemon.roots import Roots
from cove.daemon.scoped_sockets import ScopedSockets
from cove.daemon.settings import Settings
from cove.daemon.stores import Stores
from cove.engine.builds.bases import BuildBases
from cove.engine.builds.builds import Builds
from cove.engine.builds.contexts import BuildContexts
from cove.engine.builds.lending import Lending
from cove.engine.builds.passing import Passing
from cove.engine.builds.steps import BuildSteps
from cove.engine.bundle.defaults import Defaults
from cove.engine.containers.archives import Archives
from cove.engine.containers.changing import Changing
from cove.engine.containers.commits import Commits
from cove.engine.containers.container import Locations
from cove.engine.containers.containers import Containers
from cove.engine.containers.making import Making
from cove.engine.containers.output import Output
from cove.engine.containers.statistics import Statistics
from cove.engine.containers.views import Views
from cove.engine.doctor import Doctor, Standing
from cove.engine.doctor.check import examine
from cove.engine.explaining.why import Reasons
from cove.engine.images.bootstraps import Bootstraps
from cove.engine.images.contents import ImageContents
from cove.engine.images.images import Images
from cove.engine.images.registries import Registries as RegistryQuestions
from cove.engine.images.slimming import Slimming
from cove.engine.images.workshop import ContainerWorkshop
from cove.engine.lifecycle.lifecycle import Lifecycle
from cove.engine.logs.options import LogDefaults
from cove.engine.networking.memberships import Memberships
from cove.engine.networking.networks import Networks
from cove.engine.networking.publications import Publications
from cove.engine.networking.topology import Topology
from cove.engine.removing.pruning import Pruning
from cove.engine.removing.removed import Removed
from cove.engine.removing.undo import Undo
from cove.engine.sizes import Sizes
from cove.engine.system import Host, System
from cove.engine.transfers import Transfers
from cove.engine.volumes.copies import VolumeCopies
from cove.engine.volumes.files import VolumeFiles
from cove.engine.volumes.populating import Populating
from cove.engine.volumes.resizing import Resizing
from cove.engine.volumes.stillness import Still
from cove.engine.volumes.volumes import Volumes
from cove.engine.watched_trees import tells_of_overlays
from cove.registry.client.answered import Answered
from cove.registry.client.settings import Patience, Proxies, Registries
from cove.server.services import Services
from cove.units import parse_size


@dataclass(frozen=True)
class Configured:
    """The services that go by what a reload of the configuration can change."""

    roots: Roots
    stores: Stores
    engine: Engine
    making: Making
    steps: BuildSteps
    system: System
    transfers: Transfers
    registries: RegistryQuestions
    doctor: Doctor

    def configure(self, current: Settings) -> None:
        """Have them go by these settings."""
        self.making.defaults = self.steps.defaults = _defaults(current)
        self.engine.bundles.runtimes.configure(programs(current), current.default_runtime)
        self.engine.bundles.requests.configure(cdi_directories(current))
        self.system.host = _host(current, self.roots, self.stores, self.engine)
        self.transfers.registries = self.registries.settings = _registries(current)
        self.stores.images.arrivals.limit(current.max_concurrent_downloads)
        self.doctor.standing = _standing(current, self.roots, self.stores, self.engine)


def make_services(
    settings: Settings, roots: Roots, stores: Stores, engine: Engine, reload: Reload, sockets: ScopedSockets
) -> Services:
    """Everything that routes call. What a reload of the configuration changes in it, it does by itself."""
    registry, events, scratch = engine.registry, engine.events, roots.data / "tmp"
    making = _making(roots, stores, engine)
    containers = _containers(roots, stores, engine, making)
    archives, removed = _archives(stores, engine), Removed(stores.trash)
    images = Images(stores.images, registry.image_users, events)
    transfers = Transfers(stores.images, events, scratch, _registries(settings))
    steps, contexts = _build_steps(roots, engine), KeptContexts(stores.worker, roots.data / "contexts", scratch)
    builds = _builds(roots, stores, engine, steps, transfers, contexts)
    resizing = Resizing(stores.volumes, registry, stores.worker, events)
    volumes = Volumes(stores.volumes, registry, events, stores.trash, resizing)
    networks = Networks(stores.networks, registry, events, _memberships(stores, engine), engine.names)
    system = _system(_host(settings, roots, stores, engine), stores, engine, containers, images, volumes, builds)
    asked = RegistryQuestions(_registries(settings))
    doctor = Doctor(registry, _standing(settings, roots, stores, engine))
    configured = Configured(roots, stores, engine, making, steps, system, transfers, asked, doctor)
    configured.configure(settings)
    reload.listeners += [configured.configure, lambda fresh: system.reloaded(attributes(fresh))]
    output = Output(registry, removed, engine.announcements, Statistics(registry, engine.bundles))
    lifecycle = Lifecycle(registry, engine.transitions, engine.stopping)
    workshop = ContainerWorkshop(containers, lifecycle, archives, stores.images)
    return Services(
        containers=containers,
        lifecycle=lifecycle,
        output=output,
        egress=engine.policies,
        topology=Topology(registry, stores.networks, engine.connectivity),
        reasons=Reasons(registry, removed, engine.runs, output, engine.bundles),
        archives=archives,
        execs=engine.execs,
        images=images,
        image_contents=ImageContents(stores.images, stores.worker),
        transfers=transfers,
        builds=builds,
        bootstraps=Bootstraps(stores.images, events, workshop, scratch),
        slimming=Slimming(stores.images, registry, events, workshop, scratch),
        registries=asked,
        contexts=contexts,
        networks=networks,
        volumes=volumes,
        volume_copies=_volume_copies(stores, engine, volumes),
        volume_files=VolumeFiles(stores.volumes, stores.worker, engine.mounts.access),
        sockets=sockets,
        doctor=doctor,
        system=system,
        pruning=Pruning(containers, networks, images, volumes, builds, engine.uses),
        trash=_undo(roots, stores, engine),
    )


def _archives(stores: Stores, engine: Engine) -> Archives:
    return Archives(
        registry=engine.registry,
        announcements=engine.announcements,
        images=stores.images,
        bundles=engine.bundles,
        worker=stores.worker,
        mounts=engine.mounts,
    )


def _system(
    host: Host,
    stores: Stores,
    engine: Engine,
    containers: Containers,
    images: Images,
    volumes: Volumes,
    builds: Builds,
) -> System:
    return System(
        host=host,
        registry=engine.registry,
        containers=containers,
        images=images,
        volumes=volumes,
        builds=builds,
        events=engine.events,
        requests=engine.bundles.requests,
        kernel_settings=lambda: stores.networks.kernel_settings,
    )


def _build_steps(roots: Roots, engine: Engine) -> BuildSteps:
    return BuildSteps(
        connectivity=engine.connectivity,
        names=engine.names,
        files=engine.files,
        bundles=engine.bundles,
        zygote=engine.zygote,
        locations=Locations(roots.data, roots.run),
    )


def _builds(
    roots: Roots, stores: Stores, engine: Engine, steps: BuildSteps, transfers: Transfers, contexts: KeptContexts
) -> Builds:
    passing = Passing(stores.images, engine.registry, engine.removal)
    builder = Builder(stores.images, stores.build_cache, stores.worker, steps, roots.data, roots.run)
    remote = builder.fetcher = RemoteContexts(builder.receive, transfers.registries)
    return Builds(
        builder,
        stores.images,
        engine.events,
        BuildBases(stores.images, transfers),
        Lending(builder, remote, roots.data / "tmp", passing),
        BuildContexts(builder, contexts, remote),
        CacheMounts(stores.build_cache, stores.worker, roots.data / "tmp"),
        passing,
    )


def _volume_copies(stores: Stores, engine: Engine, volumes: Volumes) -> VolumeCopies:
    return VolumeCopies(
        volumes=stores.volumes,
        registry=engine.registry,
        still=Still(engine.registry, engine.stopping),
        worker=stores.worker,
        events=engine.events,
        access=engine.mounts.access,
        show=volumes.inspect,
    )


def _undo(roots: Roots, stores: Stores, engine: Engine) -> Undo:
    return Undo(
        trash=stores.trash,
        registry=engine.registry,
        locations=Locations(roots.data, roots.run),
        volumes=stores.volumes,
        connectivity=engine.connectivity,
        announcements=engine.announcements,
        learned=engine.learned,
    )


def _memberships(stores: Stores, engine: Engine) -> Memberships:
    return Memberships(
        networks=stores.networks,
        registry=engine.registry,
        connectivity=engine.connectivity,
        events=engine.events,
        names=engine.names,
        files=engine.files,
    )


def _containers(roots: Roots, stores: Stores, engine: Engine, making: Making) -> Containers:
    return Containers(
        registry=engine.registry,
        making=making,
        changing=_changing(engine),
        commits=Commits(
            engine.registry, engine.stopping, engine.announcements, stores.images, stores.worker, engine.mounts.roots
        ),
        removal=engine.removal,
        announcements=engine.announcements,
        images=stores.images,
        bundles=engine.bundles,
        links=engine.links,
        views=Views(stores.networks, engine.connectivity, engine.links),
        worker=stores.worker,
        volume_mounts=engine.mounts,
        sizes=Sizes(lambda: tells_of_overlays(roots.data / "tmp")),
    )


def _making(roots: Roots, stores: Stores, engine: Engine) -> Making:
    return Making(
        registry=engine.registry,
        announcements=engine.announcements,
        images=stores.images,
        bundles=engine.bundles,
        names=engine.names,
        links=engine.links,
        connectivity=engine.connectivity,
        policies=engine.policies,
        sources=engine.sources,
        populating=Populating(engine.registry, stores.images, stores.volumes, stores.worker, engine.mounts.access),
        volume_mounts=engine.mounts,
        trash=stores.trash,
        locations=Locations(roots.data, roots.run),
        group=engine.group,
    )


def _changing(engine: Engine) -> Changing:
    return Changing(
        registry=engine.registry,
        announcements=engine.announcements,
        names=engine.names,
        policies=engine.policies,
        publications=Publications(engine.registry, engine.connectivity),
        live_mounts=engine.live_mounts,
        group=engine.group,
    )


def _host(settings: Settings, roots: Roots, stores: Stores, engine: Engine) -> Host:
    return Host(
        data_root=roots.data,
        labels=settings.labels,
        debug=settings.debug,
        init_path=engine.bundles.init_path,
        layers=_layers(stores),
        seccomp=engine.seccomp.shown,
        group=engine.group,
        log_defaults=_log_defaults(settings),
        experimental=settings.experimental,
        cgroup_driver=cgroup_driver.names(settings).driver,
        oldest_api=api_versions.oldest(),
        registries=_registries(settings),
        runtimes=engine.bundles.runtimes,
        remapped=engine.bundles.remapping is not None,
        labelled=labels_containers(settings),
        network_drivers=stores.networks.drivers,
        unprotected=posture.unprotected(settings),
        address_pools=[(pool.base, pool.size) for pool in settings.default_address_pools],
        resources=settings.node_generic_resources,
        authorization=settings.authorization_plugins,
    )


def _registries(settings: Settings) -> Registries:
    proxies = settings.proxies
    return Registries(
        mirrors=tuple(map(mirror, settings.registry_mirrors)),
        insecure=tuple(map(registry_entries.insecure, settings.insecure_registries)),
        foreign=settings.allow_nondistributable_artifacts,
        certificates=tuple(map(Path, settings.registry_certs_dirs)),
        proxies=Proxies(
            settings.http_proxy or proxies.http_proxy,
            settings.https_proxy or proxies.https_proxy,
            settings.no_proxy or proxies.no_proxy,
        ),
        attempts=settings.max_download_attempts,
        uploads=settings.max_concurrent_uploads,
        patience=Patience(seconds=settings.registry_silence, window=settings.registry_silence),
        answered=Answered(),
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
        obstacles=stores.networks.obstacles,
    )


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
