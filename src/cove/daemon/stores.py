"""What lies on disk, opened: images, volumes, networks, the trash, and the worker that writes."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from cove.build.cache.cache import Cache as BuildCache
from cove.daemon.network_settings import network_settings
from cove.daemon.roots import Roots
from cove.daemon.settings import Settings
from cove.engine.sizes import tree_size
from cove.images import Images as ImageStore
from cove.layers import Worker, storage_driver
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
    networks = NetworkStore(database, network_settings(settings))
    return Stores(images, cache, volumes, networks, worker, trash)
