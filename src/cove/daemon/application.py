"""Every service of the daemon, built in order, and taken down in the reverse order."""

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from cove.daemon import api_versions, cgroup_driver
from cove.daemon.audit_log import AuditLog
from cove.daemon.engine import make_engine, recover
from cove.daemon.listeners import listeners
from cove.daemon.notify import notify
from cove.daemon.reload import Reload
from cove.daemon.roots import Roots
from cove.daemon.scoped_sockets import ScopedSockets
from cove.daemon.services import make_services
from cove.daemon.settings import Settings
from cove.daemon.stores import open_stores
from cove.daemon.tls import context as tls_context
from cove.engine.members import Members
from cove.errors import Conflict, Unavailable
from cove.layers import wait_for_workers
from cove.plugin import Places
from cove.server.app import Server, serve
from cove.server.authorization import Authorization
from cove.store import Database

log = logging.getLogger(__name__)


@asynccontextmanager
async def application(settings: Settings, reload: Reload) -> AsyncIterator[None]:
    """The daemon from its roots to its listening sockets, while the context lasts."""
    tls = tls_context(settings)
    cgroup_driver.check_machine(settings)
    async with AsyncExitStack() as stack:
        roots = Roots(Path(settings.data_root), Path(settings.exec_root))
        stack.callback(roots.close)
        authorization = _authorization(settings, roots, reload)
        wait_for_workers(roots.worker_lock)
        _empty(roots.data / "tmp")
        database = Database(roots.data / "cove.db")
        stack.callback(database.close)
        stores = await open_stores(settings, roots, database, stack)
        engine = make_engine(settings, roots, database, stores)
        await recover(roots, database, stores, engine, stack)
        members = Members(engine.registry, engine.execs, stores.volumes, stores.networks, stores.images)
        scoped = ScopedSockets(database, roots.run / "sockets", members)
        services = make_services(settings, roots, stores, engine, reload, scoped)
        server = await serve(
            services,
            listeners(settings),
            tls,
            _audit(settings, roots, stack),
            api_versions.oldest(),
            experimental=settings.experimental,
            authorization=authorization,
        )
        stack.push_async_callback(_stop, server, reload)
        stack.callback(engine.events.close)
        await scoped.open(server)
        stack.callback(scoped.close)
        _remove_sockets_at_end(settings, stack)
        yield


async def _stop(server: Server, reload: Reload) -> None:
    """In the time that the settings of this moment give; a negative one is no limit, as with dockerd."""
    seconds = reload.settings.shutdown_timeout
    await server.stop(seconds if seconds >= 0 else None)


def _authorization(settings: Settings, roots: Roots, reload: Reload) -> Authorization:
    """Raises InvalidArgument when a plug-in is not there."""
    authorization = Authorization(Places(roots.run / "plugins").find)

    def check(fresh: Settings) -> None:
        authorization.check(fresh.authorization_plugins)

    def use(fresh: Settings) -> None:
        authorization.names = fresh.authorization_plugins

    check(settings)
    use(settings)
    reload.checks.append(check)
    reload.listeners.append(use)
    return authorization


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
