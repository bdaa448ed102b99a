"""What goes wrong at a registry, in Docker's words: error codes of the specification, and of connections."""

import json
import socket
import ssl
from typing import Any

import aiohttp

from cove.errors import Upstream

MAX_WORDS = 1000
"""Characters of a registry's own words that are passed on."""

_STATUS_CODES = {401: "UNAUTHORIZED", 403: "DENIED", 429: "TOOMANYREQUESTS"}
_UNKNOWN_AUTHORITY = frozenset((18, 19, 20, 21))
"""OpenSSL's X509_V_ERR_… for chains that do not end in what is trusted (x509_vfy.h)."""
_EXPIRED = frozenset((9, 10))


class RegistryError(Upstream):
    """A registry refused. ``code``: of the distribution specification, in capitals; empty when it gave none.

    ``reason``: what HTTP calls the status. ``wait``: seconds until the registry wants to be asked again, 0 when it does
    not say.
    """

    wait = 0.0

    def __init__(self, status: int, reason: str, code: str, text: str) -> None:
        words = code.lower().replace("_", " ")
        super().__init__(f"{words}: {text}" if code else text)
        self.status = status
        self.reason = reason
        self.code = code
        self.text = text


class TokenRefused(RegistryError):
    """The token server of a registry refused."""


class NoCredentials(Upstream):
    """A registry wants a user and a password, and there are none."""


class Unreachable(Upstream):
    """There is no talking to a registry at one of its addresses; another may do."""


def refused(
    status: int, reason: str, body: bytes, what: str, kind: type[RegistryError] = RegistryError
) -> RegistryError:
    """The error of an answer. ``what``: the request, for an answer that says nothing itself."""
    try:
        found: Any = json.loads(body)
        first = found["errors"][0]
        code = str(first.get("code") or "")
        detail = first.get("detail")
        text = str(first.get("message") or (detail if isinstance(detail, str) else "") or reason)
        return kind(status, reason, code, text[:MAX_WORDS])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        pass
    code = _STATUS_CODES.get(status, "")
    if code:
        return kind(status, reason, code, "authentication required" if status == 401 else reason)
    if status >= 500:
        return kind(status, reason, "", f"received unexpected HTTP status: {status} {reason}")
    return kind(status, reason, "", f"unexpected status from {what}: {status} {reason}")


def request_words(method: str, url: str) -> str:
    """A request as Go's client names it in errors: ``Get "https://…"``."""
    return f'{method.capitalize()} "{url}"'


def unreachable(method: str, url: str, error: Exception) -> Unreachable:
    """What a failed connection is told as."""
    return Unreachable(f"{request_words(method, url)}: {words_of(error)}")


def words_of(error: Exception) -> str:
    """What went wrong with a connection, as Go says it."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _certificate_words(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return _tls_words(error.os_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return _dial_words(error)
    if isinstance(error, TimeoutError):
        return "net/http: request canceled (Client.Timeout exceeded while awaiting headers)"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    return str(error) or type(error).__name__


def _dial_words(error: aiohttp.ClientConnectorError) -> str:
    cause = error.os_error
    if isinstance(cause, socket.gaierror):
        return f"dial tcp: lookup {error.host}: {_lookup_words(cause)}"
    if isinstance(cause, ConnectionRefusedError):
        return f"dial tcp {_address(error)}: connect: connection refused"
    return f"dial tcp {_address(error)}: connect: {(cause.strerror or str(cause)).lower()}"


def _lookup_words(error: socket.gaierror) -> str:
    return "no such host" if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA) else "server misbehaving"


def _address(error: aiohttp.ClientConnectorError) -> str:
    host = "127.0.0.1" if error.host == "localhost" else error.host or ""
    return f"[{host}]:{error.port}" if ":" in host else f"{host}:{error.port}"


def _certificate_words(error: Exception) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: x509: {error}"
    if error.verify_code in _UNKNOWN_AUTHORITY:
        reason = "certificate signed by unknown authority"
    elif error.verify_code in _EXPIRED:
        reason = "certificate has expired or is not yet valid"
    else:
        reason = error.verify_message
    return f"tls: failed to verify certificate: x509: {reason}"


def _tls_words(error: Exception) -> str:
    text = str(error)
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text or "HTTP_REQUEST" in text:
        return "http: server gave HTTP response to HTTPS client"
    if "CERTIFICATE_REQUIRED" in text or "ALERT" in text:
        return f"remote error: tls: {getattr(error, 'reason', text).lower().replace('_', ' ')}"
    return f"tls: {text}"
