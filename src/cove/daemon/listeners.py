"""The sockets that the API is served on: unix, tcp, and those that systemd hands over (socket activation)."""

import contextlib
import grp
import logging
import os
import socket
from urllib.parse import urlsplit

from cove.daemon.settings import Settings
from cove.errors import InvalidArgument, Unavailable

log = logging.getLogger(__name__)

FIRST_PASSED = 3
"""The first descriptor of socket activation (sd_listen_fds(3))."""


def listeners(settings: Settings) -> list[socket.socket]:
    """Open every address of the settings. Raises InvalidArgument or Unavailable with the address in it."""
    passed = _passed_sockets()
    opened: list[socket.socket] = []
    for address in settings.listen_addresses():
        if address.startswith("fd://"):
            if not passed:
                raise InvalidArgument(
                    "no sockets found via socket activation: make sure the service was started by systemd"
                )
            opened += passed
            passed = []
        elif address.startswith("unix://"):
            opened.append(_unix(address.removeprefix("unix://"), settings.group))
        else:
            opened.append(_tcp(address))
    return opened + passed


def _passed_sockets() -> list[socket.socket]:
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    passed = [socket.socket(fileno=descriptor) for descriptor in range(FIRST_PASSED, FIRST_PASSED + count)]
    for listener in passed:
        listener.set_inheritable(False)
    return passed


def _unix(path: str, group: str) -> socket.socket:
    os.makedirs(os.path.dirname(path), mode=0o711, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # of a daemon that is gone: the lock on the roots is ours
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    mask = os.umask(0o177)
    try:
        listener.bind(path)
    except OSError as error:
        listener.close()
        raise Unavailable(f"cannot listen on unix://{path}: {error.strerror or error}") from error
    finally:
        os.umask(mask)
    _share_with(path, group)
    listener.listen(socket.SOMAXCONN)
    return listener


def _share_with(path: str, group: str) -> None:
    """Mode 0660 with the group where it exists; root alone otherwise."""
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        log.debug("no group %s: the socket is root's alone", group)
        gid = 0
    os.chown(path, 0, gid)
    os.chmod(path, 0o660)


def _tcp(address: str) -> socket.socket:
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError as error:
        raise InvalidArgument(f"invalid bind address ({address}): {error}") from error
    if not parts.hostname or port is None:
        raise InvalidArgument(f"invalid bind address ({address}): use tcp://HOST:PORT")
    family = socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET
    try:
        return socket.create_server((parts.hostname, port), family=family, backlog=socket.SOMAXCONN)
    except OSError as error:
        raise Unavailable(f"cannot listen on {address}: {error.strerror or error}") from error
