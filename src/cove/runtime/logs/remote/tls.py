"""TLS to log servers."""

import socket
import ssl

from cove.runtime.logs.remote import dialing
from cove.runtime.logs.remote.dialing import DialError


def context(options: dict[str, str], prefix: str) -> ssl.SSLContext:
    """Of the options ``ca-cert``, ``cert``, ``key`` and ``skip-verify``. Raises DialError in Docker's words."""
    made = ssl.create_default_context()
    authority = options.get(f"{prefix}ca-cert")
    if authority:
        try:
            made.load_verify_locations(authority)
        except (OSError, ssl.SSLError) as error:
            raise DialError(f'could not read CA certificate "{authority}": {_reason(error, authority)}') from error
    certificate, key = options.get(f"{prefix}cert"), options.get(f"{prefix}key")
    if certificate or key:
        try:
            made.load_cert_chain(certificate or "", key or None)
        except (OSError, ssl.SSLError) as error:
            raise DialError(f"Could not load X509 key pair: {_reason(error, certificate or '')}") from error
    if f"{prefix}skip-verify" in options and options[f"{prefix}skip-verify"] not in ("", "false", "0"):
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def dial(place: str, host: str, context: ssl.SSLContext) -> socket.socket:
    """Connect and negotiate. Raises DialError."""
    connection = dialing.dial("tcp", place)
    try:
        return context.wrap_socket(connection, server_hostname=host)
    except (OSError, ssl.SSLError) as error:
        connection.close()
        words = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
        raise DialError(f"tls: failed to verify certificate: {words}") from error


def _reason(error: Exception, path: str) -> str:
    if isinstance(error, FileNotFoundError):
        return f"open {path}: no such file or directory"
    return str(error)
