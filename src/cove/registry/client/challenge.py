"""What a registry asks for: the ``WWW-Authenticate`` header (RFC 9110). Pure."""

import re
from typing import NamedTuple

_PARAMETER = re.compile(r'([a-zA-Z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class Challenge(NamedTuple):
    """``scheme``: in lower case. ``parameters``: realm, service, scope and so on; names in lower case."""

    scheme: str
    parameters: dict[str, str]


def parse(header: str) -> Challenge:
    """The first challenge of a header."""
    scheme, _, rest = header.strip().partition(" ")
    found = {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted or not bare else bare
        for name, quoted, bare in _PARAMETER.findall(rest)
    }
    return Challenge(scheme.lower(), found)
