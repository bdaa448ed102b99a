"""What the checks of a Dockerfile have found, in a few lines at the end of its build."""

from __future__ import annotations

import base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session

    Warning = dict[str, Any]


def summary(session: Session, warnings: list[Warning]) -> str:
    """A line for each; with the command line's ``--debug`` also what it is about, and where."""
    from cove.dockerfile.checks import counted

    everything = session.options.on("debug")
    hint = "" if everything else " (use cove --debug to expand)"
    lines = [f"\n {counted(len(warnings))}{hint}:"]
    for warning in warnings:
        lines.append(f" - {_text(warning['short'])}")
        if everything:
            lines += [*map(_text, warning["detail"]), _place(warning)]
    return "\n".join(lines)


def _place(warning: Warning) -> str:
    from cove.dockerfile.failure import Location, excerpt

    source, (place,) = warning["sourceInfo"], warning["range"]
    location = Location(place["start"]["line"], place["end"]["line"])
    return excerpt(source["filename"], _text(source["data"]), location)


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()
