"""systemd's notification protocol (sd_notify(3)): one datagram to the socket that NOTIFY_SOCKET names."""

import logging
import os
import socket

log = logging.getLogger(__name__)


def notify(state: str) -> None:
    """Tell the service manager, if there is one: ``READY=1``, ``STOPPING=1``, ``RELOADING=1`` …"""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.connect(address)
            channel.sendall(state.encode())
    except OSError as error:  # a variable that was inherited, say: no reason not to serve
        log.warning("cannot notify %s: %s", os.environ["NOTIFY_SOCKET"], error)
