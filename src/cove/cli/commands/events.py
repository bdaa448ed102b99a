"""``cove events``"""

from __future__ import annotations

from cove.cli.command import NO_ARGUMENTS, Command
from cove.cli.failure import Failure
from cove.cli.humanize import local_offset_time
from cove.cli.moments import moment
from cove.cli.options import EVENT_FORMAT, encode_filters, filters
from cove.flags import STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Event = dict[str, Any]


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    query = {
        "since": moment(values.text("since")),
        "until": moment(values.text("until")),
        "filters": encode_filters(values.many("filter")),
    }
    write = _writer(values.text("format"))
    for event in session.client.objects("GET", "/events", query):
        session.stdout.write(write(event) + "\n")
        session.stdout.flush()
    return 0


def _writer(form: str) -> Callable[[Event], str]:
    if not form:
        return as_line
    if form == "json":
        form = "{{json .}}"
    from cove.cli.formatter import unescape
    from cove.cli.inspected import GoMap
    from cove.cli.records import compile_template
    from cove.template.evaluate import lenient_lookup
    from cove.template.lexer import TemplateError

    template = compile_template(unescape(form), "Error parsing format: ", 64)

    def lookup(value: Event, name: str) -> Any:
        if name == "Attributes":
            return GoMap(value.get(name) or {})
        if isinstance(value, GoMap):
            return lenient_lookup(value, name)
        wire = name if name in value else _WIRE_NAMES.get(name, name)
        if wire not in value and wire not in _OPTIONAL:
            raise LookupError(f"can't evaluate field {name} in type *events.Message")
        return value.get(wire, "")

    def write(event: Event) -> str:
        try:
            return template.render(event, lookup)
        except TemplateError as error:
            raise Failure(f"Error parsing format: {error}", 64) from None

    return write


# A few fields of an event have lower-case names in JSON, and Go's in a template; three are only on some events.
_WIRE_NAMES = {
    "Status": "status",
    "From": "from",
    "Time": "time",
    "TimeNano": "timeNano",
    "Scope": "scope",
    "ID": "id",
}
_OPTIONAL = ("status", "from", "id")


def as_line(event: Event) -> str:
    """``TIME TYPE ACTION ID (name=value, …)``, the attributes sorted."""
    nanos = event.get("timeNano") or event.get("time", 0) * 10**9
    actor = event.get("Actor") or {}
    text = f"{local_offset_time(nanos)} {event['Type']} {event['Action']} {actor.get('ID', '')}"
    attributes = actor.get("Attributes") or {}
    if attributes:
        text += f" ({', '.join(f'{key}={attributes[key]}' for key in sorted(attributes))})"
    return text


COMMAND = Command(
    _run,
    "[OPTIONS]",
    NO_ARGUMENTS,
    (
        filters(),
        EVENT_FORMAT,
        Flag("since", STRING, "Show all events created since timestamp"),
        Flag("until", STRING, "Stream events until this timestamp"),
    ),
)
