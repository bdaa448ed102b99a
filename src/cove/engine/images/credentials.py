"""Whose credentials a client sent along, and for which registry."""

import base64

from cove.errors import InvalidArgument
from cove.reference import Reference
from cove.registry.client.authorization import NOBODY, Credentials
from cove.registry.client.places import host_of
from cove.wire.images import AuthConfig


def registry_of(reference: Reference) -> str:
    """``host[:port]`` of the registry that a name is of."""
    return host_of(reference.domain)


def credentials_of(auth: AuthConfig | None) -> Credentials:
    """What a client sent along for a registry. Raises InvalidArgument when it cannot be read."""
    if auth is None:
        return NOBODY
    username, password = auth.username, auth.password
    if auth.auth and not username:
        username, _, password = _decoded(auth.auth).partition(":")
    return Credentials(username, password, auth.identity_token, auth.registry_token)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError as error:
        raise InvalidArgument("auth: it is not base64 of user:password") from error
