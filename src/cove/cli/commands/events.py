"""``cove events``"""

from __future__ import annotations

from cove.cli.command import NO_ARGUMENTS, Command
from cove.cli.flags import STRING, Flag
from cove.cli.humanize import local_offset_time
from cove.cli.moments import moment
from cove.cli.options import EVENT_FORMAT, encode_filters, filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cove.cli.flags import Values
    from cove.cli.session import Session

    Event = dict[str, Any]


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    query = {
        "since": moment(values.text("since"), "since"),
        "until": moment(values.text("until"), "until"),
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
    from cove.cli.template.evaluate import lenient_lookup, strict_lookup

    template = compile_template(unescape(form), "Error parsing format: ", 64)

    def lookup(value: Event, name: str) -> Any:
        if name == "Attributes":
            return GoMap(value.get(name) or {})
        if name == "TimeNano":
            name = "timeNano"
        return (
            lenient_lookup(value, name) if isinstance(value, GoMap) else strict_lookup(value, _wire_name(value, name))
        )

    return lambda event: template.render(event, lookup)


_WIRE_NAMES = {"Status": "status", "From": "from", "Time": "time", "Scope": "scope", "ID": "id"}


def _wire_name(value: Event, name: str) -> str:
    """A few fields of an event have lower-case names in JSON, and Go's in a template."""
    return name if name in value else _WIRE_NAMES.get(name, name)


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
