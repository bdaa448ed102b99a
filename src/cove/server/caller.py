"""Who makes a request: a process of this machine, or a client over TCP."""

import socket
import struct
from typing import Any, NamedTuple

from aiohttp import web

_CREDENTIALS = struct.Struct("iII")  # struct ucred (unix(7), SO_PEERCRED)


class Caller(NamedTuple):
    """``pid``, ``uid``, ``gid``: of a local process when it connected. ``certificate``: the subject's common name of a
    client over TLS. ``address``: of a client over TCP. What is not known is None or empty.
    """

    pid: int | None = None
    uid: int | None = None
    gid: int | None = None
    certificate: str = ""
    address: str = ""


def caller_of(raw: web.BaseRequest) -> Caller:
    """Read from the connection; cheap enough for every request."""
    transport = raw.transport
    if transport is None:
        return Caller()
    connection = transport.get_extra_info("socket")
    if connection is None:
        return Caller()
    if connection.family == socket.AF_UNIX:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return Caller(*_CREDENTIALS.unpack(credentials))
    peer = transport.get_extra_info("peername") or ("",)
    return Caller(certificate=_common_name(transport.get_extra_info("peercert")), address=str(peer[0]))


def _common_name(certificate: Any) -> str:
    for names in (certificate or {}).get("subject", ()):
        for name, value in names:
            if name == "commonName":
                return str(value)
    return ""
