"""Flags that several commands share."""

from __future__ import annotations

from cove.flags import BOOL, FILTER, STRING, Flag

_TEMPLATES = (
    "'TEMPLATE':         Print output using the given Go template.\n"
    "Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"
)
_JSON = "'json':             Print in JSON format\n"

OBJECT_FORMAT = Flag("format", STRING, f"Format output using a custom template:\n{_JSON}{_TEMPLATES}", "f")
EVENT_FORMAT = Flag("format", STRING, f"Format output using a custom template:\n{_JSON}{_TEMPLATES}")
LIST_FORMAT = Flag(
    "format",
    STRING,
    "Format output using a custom template:\n"
    "'table':            Print output in table format with column headers (default)\n"
    f"'table TEMPLATE':   Print output in table format using the given Go template\n{_JSON}{_TEMPLATES}",
)
DETACH_KEYS = Flag("detach-keys", STRING, "Override the key sequence for detaching a container")


def filters(help: str = "Filter output based on conditions provided") -> Flag:
    return Flag("filter", FILTER, help, "f")


def prune_flags(example: str = "until=<timestamp>", *extra: Flag) -> tuple[Flag, ...]:
    return (
        *extra,
        Flag("filter", FILTER, f'Provide filter values (e.g. "{example}")'),
        Flag("force", BOOL, "Do not prompt for confirmation", "f"),
    )


def encode_filters(pairs: list[tuple[str, str]]) -> str | None:
    """The ``filters`` query parameter: JSON of each key to its set of values; None when there are none."""
    import json

    if not pairs:
        return None
    collected: dict[str, dict[str, bool]] = {}
    for key, value in pairs:
        collected.setdefault(key, {})[value] = True
    return json.dumps(collected, separators=(",", ":"))
