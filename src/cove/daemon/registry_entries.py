"""Registries as ``--insecure-registry`` and ``--allow-nondistributable-artifacts`` name them: host[:port] or CIDR."""

import ipaddress
import re

from cove.errors import InvalidArgument

_SCHEMES = ("http://", "https://")
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_WITH_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]*):(?P<port>[0-9]*)")


def insecure(text: str) -> str:
    """Without ``http://`` and ``https://``, which dockerd drops. Raises InvalidArgument in its words."""
    scheme = next((each for each in _SCHEMES if text.lower().startswith(each)), "")
    return _checked("insecure registry", text[len(scheme) :])


def foreign(text: str) -> str:
    """Raises InvalidArgument in dockerd's words."""
    return _checked("allow-nondistributable-artifacts registry", text)


def _checked(kind: str, text: str) -> str:
    if text.startswith("-") or text.endswith("-"):
        raise InvalidArgument(f"invalid index name ({text}). Cannot begin or end with a hyphen")
    if "://" in text:
        raise InvalidArgument(f"{kind} {text} should not contain '://'")
    if not _is_network(text):
        with_port = _WITH_PORT.fullmatch(text)
        host, port = (with_port["host"], with_port["port"]) if with_port else (text, "")
        if not _HOST.fullmatch(host) and not _is_address(host):
            raise InvalidArgument(f'{kind} {text} is not valid: invalid host "{host}"')
        if port and int(port) > 65535:
            raise InvalidArgument(f'{kind} {text} is not valid: invalid port "{port}"')
    return text


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
