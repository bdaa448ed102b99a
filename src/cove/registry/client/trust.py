"""Whom we trust at the other end of a connection, and who we are there."""

import asyncio
import ssl

from cove.errors import InvalidArgument
from cove.registry.client.places import Place


async def trust_in(place: Place) -> ssl.SSLContext | bool:
    """The TLS settings for a place, True for one without TLS. Raises InvalidArgument naming a bad file."""
    return True if place.url.startswith("http://") else await asyncio.to_thread(_context, place)


def _context(place: Place) -> ssl.SSLContext:
    context = ssl.create_default_context() if place.verify else _credulous()
    for path in place.authorities:
        try:
            context.load_verify_locations(path)
        except OSError as error:  # ssl.SSLError too
            raise InvalidArgument(f"{path}: no certificate of an authority: {error}") from error
    for certificate, key in place.identities:
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:
            raise InvalidArgument(f"{certificate}: no certificate with a key: {error}") from error
    return context


def _credulous() -> ssl.SSLContext:
    """Takes any certificate; so the authorities of the system, 28 ms of reading, are left alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
