"""What lies on disk, opened: images, volumes, networks, the trash, and the worker that writes."""

import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from cove.build.cache.cache import Cache as BuildCache
from cove.daemon.roots import Roots
from cove.daemon.settings import Settings
from cove.engine.sizes import tree_size
from cove.images import Images as ImageStore
from cove.layers import Worker, storage_driver
from cove.network import DEFAULT_MTU, DOCKER_POOLS, NetworkSettings
from cove.network import Networks as NetworkStore
from cove.store import Database
from cove.trash import Budget, Trash
from cove.volumes import Volumes as VolumeStore


@dataclass(frozen=True)
class Stores:
    """What lies on disk: images, volumes, networks; and the worker that writes it."""

    images: ImageStore
    build_cache: BuildCache
    volumes: VolumeStore
    networks: NetworkStore
    worker: Worker
    trash: Trash


async def open_stores(settings: Settings, roots: Roots, database: Database, stack: AsyncExitStack) -> Stores:
    worker = Worker(roots.worker_lock)
    stack.push_async_callback(worker.close)
    images = ImageStore(database, roots.data, worker, storage_driver.choose(settings.storage_driver, roots.data))
    cache = BuildCache(database, roots.data / "build")
    cache.open()
    images.ask(cache.kept)
    await images.open()
    stack.push_async_callback(images.close)
    trash = Trash(database, roots.data, Budget(settings.trash_minutes, settings.trash_percent), tree_size)
    trash.open()
    stack.push_async_callback(trash.close)
    volumes = VolumeStore(database, roots.data, roots.run / "plugins")
    volumes.open()
    networks = NetworkStore(database, _network_settings(settings))
    return Stores(images, cache, volumes, networks, worker, trash)


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
        accept_mark=settings.bridge_accept_fwmark,
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
