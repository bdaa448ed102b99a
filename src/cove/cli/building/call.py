"""``--call``: what a client may ask of a Dockerfile in place of building it."""

from __future__ import annotations

from cove.cli.build_contexts.preparing import prepare
from cove.cli.failure import Failure
from cove.dockerfile.text import boolean
from cove.flags import parse_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.build_contexts.preparing import Prepared

METHODS = ("build", "check", "outline", "targets")
_ALIASES = {"lint": "check"}


class Call:
    """``--call method,format=json``. ``ignores``: the exit code says nothing of what is found."""

    def __init__(self, text: str) -> None:
        """Raises Failure naming the flag."""
        self.method, self.as_json, self.ignores = "", False, False
        for field in parse_fields(text):
            self._take(field, text)
        self.method = _ALIASES.get(self.method, self.method)
        if self.method not in METHODS:
            raise Failure(f'invalid value for --call: "{self.method}" is not one of {", ".join(METHODS)}')

    def _take(self, field: str, text: str) -> None:
        name, sign, value = field.partition("=")
        status = boolean(value)
        if not sign and not self.method:
            self.method = field
        elif name == "format" and value in ("json", "text"):
            self.as_json = value == "json"
        elif name == "ignorestatus" and status is not None:
            self.ignores = status
        else:
            raise Failure(f"invalid value for --call: {text}: {field} is neither format=json|text nor ignorestatus")


def read(place: str, file: str) -> tuple[Prepared, bytes]:
    """A build's context and its Dockerfile. Raises Failure where only the daemon could read it."""
    prepared = prepare(place, file)
    if prepared.text is None:
        raise Failure("--call needs a Dockerfile in a directory, or on stdin")
    return prepared, prepared.text
