"""The sockets that the API is served on: unix, tcp, and those that systemd hands over (socket activation)."""

import errno
import grp
import logging
import os
import socket
import stat
from urllib.parse import urlsplit

from cove.daemon.settings import Settings
from cove.errors import Conflict, InvalidArgument, Unavailable

log = logging.getLogger(__name__)

FIRST_PASSED = 3
"""The first descriptor of socket activation (sd_listen_fds(3))."""


def listeners(settings: Settings) -> list[socket.socket]:
    """Open every address of the settings. Raises InvalidArgument, Conflict or Unavailable that names it."""
    passed = _passed_sockets()
    opened = list(passed)
    try:
        for address in settings.listen_addresses():
            if address.startswith("unix://"):
                opened.append(unix_listener(address.removeprefix("unix://"), settings.group))
            elif address.startswith("tcp://"):
                opened.append(_tcp(address))
            elif not passed:
                raise InvalidArgument(
                    "no sockets found via socket activation: make sure the service was started by systemd"
                )
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    return opened


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


def unix_listener(path: str, group: str) -> socket.socket:
    """A socket that listens at a path, for root and a group. Raises InvalidArgument, Conflict, Unavailable."""
    gid = group_id(group)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        os.makedirs(os.path.dirname(path), mode=0o711, exist_ok=True)
        _clear(path)
        _bind(listener, path, gid)
    except OSError as error:
        listener.close()
        raise Unavailable(f"cannot listen on unix://{path}: {error.strerror or error}") from error
    except BaseException:
        listener.close()
        raise
    return listener


def _clear(path: str) -> None:
    """Remove the socket of a daemon that is gone. Raises Conflict for one that answers, and for any other file."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise Conflict(f"cannot listen on unix://{path}: there is a file that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as probe:
        if probe.connect_ex(path) in (0, errno.EAGAIN):
            raise Conflict(f"cannot listen on unix://{path}: another process does")
    os.unlink(path)


def _bind(listener: socket.socket, path: str, gid: int) -> None:
    """Root's alone until the group has it: mode 0660 in the end."""
    mask = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(mask)
    os.chown(path, 0, gid)
    os.chmod(path, 0o660)
    listener.listen(socket.SOMAXCONN)


def group_id(group: str) -> int:
    """A group by name or number; root's where the default group does not exist. Raises InvalidArgument."""
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        if group.isdecimal():
            return int(group)
    if group != Settings().group:
        raise InvalidArgument(f"failed to load listeners: group {group} not found")
    log.debug("no group %s: the socket is root's alone", group)
    return 0


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
