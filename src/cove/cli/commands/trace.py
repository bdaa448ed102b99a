"""``cove network trace``: which rule, route or missing network stands between a container and where it is to go."""

from __future__ import annotations

from cove.cli.command import Command, exactly
from cove.cli.options import OBJECT_FORMAT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Trace = dict[str, Any]

_SIGNS = {"pass": "ok", "stop": "STOP", "unsure": "?"}


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    origin, target = arguments
    trace = session.client.json("GET", "/cove/network/trace", {"from": origin.strip("/"), "to": target})
    form = values.text("format")
    if form:
        from cove.cli.records import render_object

        session.print(render_object(form, trace, "network.Trace"))
    else:
        session.print("\n".join(_lines(trace)))
    return 0 if trace["Reached"] else 1


def _lines(trace: Trace) -> list[str]:
    lines = [f"{_SIGNS[step['Outcome']]:<5} {step['What']:<12} {step['Text']}" for step in trace["Steps"]]
    verdict = "is reached from" if trace["Reached"] else "is not reached from"
    lines += ["", f"{trace['Target']} {verdict} {trace['Origin']}"]
    return [*lines, f"Try: {trace['Hint']}"] if trace.get("Hint") else lines


COMMAND = Command(
    _run,
    "[OPTIONS] CONTAINER TARGET[:PORT[/PROTOCOL]]",
    exactly(2),
    (OBJECT_FORMAT,),
    long=(
        "Follow a packet, without sending it, from a container to another container, an address or a name, and say "
        "which rule, route or missing network stands in between. The exit code is 1 when it does not arrive."
    ),
)
