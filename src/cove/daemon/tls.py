"""TLS for the TCP listeners: the daemon's certificate, and clients that must show one of theirs.

Whoever may talk to the API is root on the machine. So TCP without a check of who talks is refused, unless the
administrator says ``--allow-unauthenticated-tcp``.
"""

import ssl

from cove.daemon.settings import Settings
from cove.errors import InvalidArgument


def context(settings: Settings) -> ssl.SSLContext | None:
    """What TCP listeners serve with; None for none. What is asked for by name must be there, listeners or not.

    Raises InvalidArgument that names the flag for TCP without client verification, and for files that cannot be used.
    """
    if not any(address.startswith("tcp://") for address in settings.hosts):
        return _context(settings) if settings.tls or settings.tlsverify else None
    if not settings.tlsverify and not settings.allow_unauthenticated_tcp:
        raise InvalidArgument(
            "a TCP address without client verification gives root to whoever reaches it: use --tlsverify with "
            "--tlscacert, --tlscert and --tlskey, or say --allow-unauthenticated-tcp"
        )
    if not (settings.tls or settings.tlsverify or settings.tlscert):
        return None
    return _context(settings)


def _context(settings: Settings) -> ssl.SSLContext:
    for flag in ("tlscert", "tlskey", *(("tlscacert",) if settings.tlsverify else ())):
        if not getattr(settings, flag):
            raise InvalidArgument(f"--{flag} is needed for TLS")
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(settings.tlscert, settings.tlskey)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(f"--tlscert {settings.tlscert}, --tlskey {settings.tlskey}: {error}") from error
    if settings.tlsverify:
        made.verify_mode = ssl.CERT_REQUIRED
        try:
            made.load_verify_locations(settings.tlscacert)
        except (OSError, ssl.SSLError) as error:
            raise InvalidArgument(f"--tlscacert {settings.tlscacert}: {error}") from error
    return made
