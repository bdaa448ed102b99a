"""The program of ``cove registry serve``: its composition, and its life until SIGTERM.

``python -m cove.registry.server.main JSON``: the JSON of ``Settings``, which the command line makes of its flags.
"""

import asyncio
import contextlib
import fcntl
import gc
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from cove.errors import Conflict, CoveError, InvalidArgument, Unavailable
from cove.registry.server.app import App
from cove.registry.server.blob_routes import BlobRoutes
from cove.registry.server.contents import Contents
from cove.registry.server.credentials import Credentials
from cove.registry.server.files import Files
from cove.registry.server.index import Index
from cove.registry.server.listing_routes import ListingRoutes
from cove.registry.server.manifest_routes import ManifestRoutes
from cove.registry.server.routing import Router
from cove.registry.server.schema import MIGRATIONS
from cove.registry.server.settings import Settings
from cove.registry.server.uploads import Uploads
from cove.store import Database

GRACE = 5.0
"""Seconds that requests have when the registry stops; an upload goes on at the next start."""

READ_AHEAD = 1 << 20
"""Bytes of a body that are received while earlier ones are hashed and written."""

log = logging.getLogger("cove.registry")


def main() -> None:
    """Serve until SIGTERM or SIGINT. Exit code 1 when it cannot start, with the reason on standard error."""
    try:
        settings = msgspec.json.decode(sys.argv[1], type=Settings)
        logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(message)s")
        logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # a traceback for each bad byte of a stranger
        asyncio.run(serve(settings))
    except (CoveError, OSError) as error:
        print(f"cove registry serve: {error}", file=sys.stderr)
        raise SystemExit(1) from None


async def serve(settings: Settings) -> None:
    """Raises CoveError that names the flag for what cannot be used."""
    tls = tls_context(settings)
    guard = Credentials(Path(settings.htpasswd)) if settings.htpasswd else None
    root = Path(settings.root)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_locked(root))
        database = Database(root / "registry.db", MIGRATIONS)
        stack.callback(database.close)
        index = Index(database, root / "registry.db")
        stack.callback(index.close)
        files = Files(root)
        contents = Contents(index, files)
        uploads = Uploads(database, files, contents, settings.upload_age)
        _know_again(database, files, uploads)
        routes = [
            *BlobRoutes(index, files, contents, uploads).table(),
            *ManifestRoutes(index, files, contents).table(),
            *ListingRoutes(index).table(),
        ]
        app = App(Router(routes), guard, settings.read_only)
        await _until_stopped(app, uploads, _listener(settings.address), tls, settings)


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """None without a certificate. Raises InvalidArgument that names the flag for files that cannot be used."""
    if not settings.tls_certificate and not settings.tls_key:
        if settings.tls_client_ca:
            raise InvalidArgument("--tlscacert needs --tlscert and --tlskey")
        return None
    for flag, value in (("--tlscert", settings.tls_certificate), ("--tlskey", settings.tls_key)):
        if not value:
            raise InvalidArgument(f"{flag} is needed for TLS")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(f"--tlscert {settings.tls_certificate}, --tlskey {settings.tls_key}: {error}") from None
    if settings.tls_client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(settings.tls_client_ca)
        except (OSError, ssl.SSLError) as error:
            raise InvalidArgument(f"--tlscacert {settings.tls_client_ca}: {error}") from None
    return context


def _know_again(database: Database, files: Files, uploads: Uploads) -> None:
    """What the last run left: its blobs, its uploads, and files that are neither."""
    blobs = database.load(lambda connection: [row[0] for row in connection.execute("SELECT digest FROM blobs")])
    rows: list[Any] = database.load(lambda connection: connection.execute("SELECT * FROM uploads").fetchall())
    files.open(blobs, [identity for identity, _ in rows])
    uploads.open(rows)


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Raises Conflict when another registry has this root."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"--root {root}: another registry is using it") from None
        yield


def _listener(address: str) -> socket.socket:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise InvalidArgument(f"--addr {address}: use HOST:PORT")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host or not host else socket.AF_INET
    try:
        dual = family == socket.AF_INET6 and not host and socket.has_dualstack_ipv6()
        return socket.create_server((host, int(port)), family=family, backlog=512, dualstack_ipv6=dual)
    except OSError as error:
        raise Unavailable(f"cannot listen on {address}: {error.strerror or error}") from None


async def _until_stopped(
    app: App, uploads: Uploads, listener: socket.socket, tls: ssl.SSLContext | None, settings: Settings
) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connections = web.Server(
        app.handle, access_log=None, auto_decompress=False, read_bufsize=READ_AHEAD, lingering_time=1.0
    )
    server = await loop.create_server(connections, sock=listener, ssl=tls)
    sweeping = loop.create_task(uploads.keep_sweeping())
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    print(f"Serving {settings.root} at {'https' if tls else 'http'}://{shown}", flush=True)
    gc.freeze()
    await stop.wait()
    sweeping.cancel()
    server.close()
    connections.pre_shutdown()
    await connections.shutdown(GRACE)


if __name__ == "__main__":
    main()
