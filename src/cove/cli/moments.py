"""Points in time as a user gives them to ``--since`` and ``--until``."""

from __future__ import annotations

import re
import time

from cove.cli.failure import Failure
from cove.cli.humanize import parse_duration, parse_rfc3339

_SHAPES = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$"), ""),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d$"), ":00"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d$"), ":00:00"),
    (re.compile(r"\d{4}-\d\d-\d\d$"), "T00:00:00"),
)
_ZONED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:\d\d)$")
_NUMBER = re.compile(r"-?\d+(\.\d+)?$")


def moment(text: str, name: str = "") -> str | None:
    """Seconds since the epoch with nine digits of fraction, as the API takes them; None for nothing.

    ``text`` is such a number, an RFC 3339 time (of our own zone when it names none), or a duration before now.
    Raises Failure, which names the option if ``name`` does.
    """
    if not text:
        return None
    if _NUMBER.match(text):
        return text
    try:
        return _ago(text)
    except ValueError:
        pass
    try:
        return _absolute(text)
    except ValueError as error:
        prefix = f'invalid value for "{name}": ' if name else ""
        raise Failure(f'{prefix}failed to parse value as time or duration: "{text}"') from error


def _ago(text: str) -> str:
    nanoseconds = time.time_ns() - parse_duration(text)
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"


def _absolute(text: str) -> str:
    if zoned := _ZONED.match(text):
        whole = zoned[1] if zoned[1].count(":") > 1 else f"{zoned[1]}:00"
        seconds, fraction = parse_rfc3339(whole + zoned[2])
        return f"{seconds}.{fraction.ljust(9, '0')}"
    for shape, rest in _SHAPES:
        if shape.match(text):
            main, _, fraction = (text + rest).partition(".")
            local = time.mktime(time.strptime(main, "%Y-%m-%dT%H:%M:%S"))
            return f"{int(local)}.{fraction.ljust(9, '0')}"
    raise ValueError(text)
