"""What a scoped socket may do: which requests, which privileges, whose objects. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cove.errors import InvalidArgument

EXEC, PRIVILEGED, BIND, HOST = "exec", "privileged", "bind", "host"
DENIED: Mapping[str, str] = {
    EXEC: "running a further process in a container",
    PRIVILEGED: "privileged containers, devices, added capabilities, weaker security options",
    BIND: "files of the host in a container",
    HOST: "the host's namespaces in a container, networks on its links",
}
"""The words of ``deny``, and what each of them is about."""

ALWAYS = (("GET", "/_ping"), ("HEAD", "/_ping"), ("GET", "/version"))
"""What every client asks first."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")
_ALLOW = re.compile(r"([A-Z]+|\*) (/\S*)")


@dataclass(frozen=True)
class Scope:
    """``allow``: none is everything. ``labels``: those of every object that is seen or made; none is any object."""

    allow: Sequence[str] = ()
    deny: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)

    def allows(self, method: str, path: str) -> bool:
        """Whether a request may be made at all; GET is HEAD as well. ``path``: without its version, decoded."""
        if not self.allow or (method, path) in ALWAYS:
            return True
        method = "GET" if method == "HEAD" else method
        return any(_matches(entry, method, path) for entry in self.allow)

    def owns(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is one of this scope's."""
        return all(labels.get(name) == value for name, value in self.labels.items())


def checked_name(name: str) -> str:
    """Raises InvalidArgument."""
    if not _NAME.fullmatch(name):
        raise InvalidArgument(f"invalid socket name {name!r}: use 1 to 64 of a-z, A-Z, 0-9, _, . and -")
    return name


def scope(allow: Sequence[str], deny: Sequence[str], labels: Mapping[str, str]) -> Scope:
    """Raises InvalidArgument that names what is wrong."""
    for entry in allow:
        if not _ALLOW.fullmatch(entry):
            raise InvalidArgument(f"allow: {entry!r} is not a method and a path, like 'GET /containers/**'")
    for word in deny:
        if word not in DENIED:
            raise InvalidArgument(f"deny: {word!r} is not one of {', '.join(DENIED)}")
    if "" in labels:
        raise InvalidArgument("labels: a label without a name")
    return Scope(tuple(allow), frozenset(deny), dict(labels))


def _matches(entry: str, method: str, path: str) -> bool:
    wanted, _, pattern = entry.partition(" ")
    return wanted in ("*", method) and re.fullmatch(_expression(pattern), path) is not None


def _expression(pattern: str) -> str:
    """``*`` is anything in one segment, ``**`` anything at all; ``/x/**`` is ``/x`` as well."""
    if pattern.endswith("/**"):
        return _expression(pattern[:-3]) + "(?:/.*)?"
    return re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
