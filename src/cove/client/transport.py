"""Where a daemon listens, and how to open a socket to it.

An endpoint is written as ``unix:///path``, ``tcp://host:port`` or ``http(s)://host:port``, as in ``DOCKER_HOST``.
A unix socket is the interpreter's own ``_socket.socket``, which ``socket.socket`` only wraps: that module takes 3 ms to
import, a tenth of a short command.
"""

from __future__ import annotations

import _socket

from cove.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from cove.client.tls_socket import TlsSocket

    Socket = _socket.socket

DEFAULT_HOST = "unix:///run/cove/cove.sock"
STOCK_HOST = "unix:///var/run/docker.sock"
"""Docker's own default, which our engine listens on when it is started by the name dockerd."""
PLAIN_PORT = 2375
TLS_PORT = 2376


class TLSFiles:
    """Which certificates to show and trust. ``verify`` false accepts any server (``--tls`` without ``--tlsverify``)."""

    __slots__ = ("ca", "cert", "key", "verify")

    def __init__(self, ca: str, cert: str, key: str, verify: bool) -> None:
        self.ca = ca
        self.cert = cert
        self.key = key
        self.verify = verify


class Endpoint:
    """A parsed daemon address. ``host`` is what the HTTP Host header carries."""

    __slots__ = ("address", "host", "tls", "url")

    def __init__(self, url: str, tls: TLSFiles | None = None) -> None:
        self.url = url
        self.tls = tls
        scheme, separator, rest = url.partition("://")
        if not separator:
            raise InvalidArgument(f"unable to parse docker host `{url}`")
        if scheme == "unix":
            self.address: str | tuple[str, int] = rest
            self.host = "cove.sock"
        elif scheme in ("tcp", "http", "https"):
            self.address = _host_and_port(rest, url, TLS_PORT if tls else PLAIN_PORT)
            self.host = rest.partition("/")[0]
        else:
            raise InvalidArgument(f'invalid bind address ({url}): unsupported proto "{scheme}"')

    def connect(self) -> Socket:
        """Open a stream socket. Raises OSError when nobody listens there."""
        if isinstance(self.address, tuple):
            return _connect_tcp(self.address, self.tls)
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            sock.connect(self.address)
        except OSError:
            sock.close()
            raise
        return sock


def _connect_tcp(address: tuple[str, int], tls: TLSFiles | None) -> Socket:
    import socket

    sock = socket.create_connection(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is None:
        return sock
    try:
        return _secured(sock, address[0], tls)  # type: ignore[return-value]  # it does what a socket does
    except BaseException:
        sock.close()
        raise


def _host_and_port(rest: str, url: str, default_port: int) -> tuple[str, int]:
    netloc = rest.partition("/")[0]
    host, colon, port = netloc.rpartition(":")
    if not colon or netloc.endswith("]"):
        return netloc.strip("[]") or "127.0.0.1", default_port
    if not port.isdecimal() or int(port) > 65535:
        raise InvalidArgument(f"invalid port in docker host `{url}`")
    return host.strip("[]") or "127.0.0.1", int(port)


def _secured(sock: socket.socket, name: str, tls: TLSFiles) -> TlsSocket:
    import ssl

    from cove.client.tls_socket import TlsSocket

    try:
        context = ssl.create_default_context(cafile=tls.ca if tls.verify else None)
        if not tls.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key)
    except OSError as error:
        files = ", ".join(filter(None, (tls.ca, tls.cert, tls.key)))
        raise InvalidArgument(f"cannot load the TLS files {files}: {error.strerror or error}") from error
    return TlsSocket(sock, context, name)
