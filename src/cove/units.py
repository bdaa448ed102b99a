"""Sizes, durations and times as Docker's users write and read them.

Go's formats: ``1h30m``, RFC 3339 with up to nine digits of a second, ``unix.nanos``. All times here are integers of
nanoseconds since the epoch, so that nothing is lost.
"""

import calendar
import re
import time

from cove.errors import InvalidArgument

SECOND = 1_000_000_000
"""Nanoseconds."""

_DURATION_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(i?b)?", re.IGNORECASE | re.ASCII)
_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?([Zz]|[+-]\d\d:\d\d)?",
    re.ASCII,
)
_UNIX = re.compile(r"(-?\d+)(?:\.(\d{1,9}))?", re.ASCII)


def parse_size(text: str) -> int:
    """Bytes of ``512``, ``64k``, ``1.5g``, ``2GiB``: powers of 1024, as for memory. Raises InvalidArgument."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument(f"invalid size: '{text}'")
    number, prefix, _ = match.groups()
    return int(float(number) * 1024 ** " kmgtp".index(prefix.lower() or " "))


def human_size(size: float) -> str:
    """Bytes as ``docker images`` shows them: ``1.23MB``, powers of 1000, four significant digits at most."""
    return _scaled(size, 1000, ("B", "kB", "MB", "GB", "TB", "PB", "EB"), 4)


def human_binary_size(size: float) -> str:
    """Bytes as ``docker stats`` shows memory: ``1.23MiB``, powers of 1024, four significant digits at most."""
    return _scaled(size, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"), 4)


def _scaled(size: float, base: int, units: tuple[str, ...], digits: int) -> str:
    step = 0
    while size >= base and step < len(units) - 1:
        size /= base
        step += 1
    return f"{size:.{digits}g}{units[step]}"


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration: ``1h30m``, ``-2s``, ``300ms``, ``0``. Raises InvalidArgument."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total, position = 0, 0
    for part in _DURATION_PART.finditer(rest):
        if part.start() != position:
            break
        total += _nanoseconds(part[1], _DURATION_UNITS[part[2]])
        position = part.end()
    if not rest or position != len(rest):
        raise InvalidArgument(f'invalid duration "{text}"')
    return sign * total


def _nanoseconds(number: str, unit: int) -> int:
    whole, _, fraction = number.partition(".")
    return int(whole or 0) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)


def format_duration(nanoseconds: int) -> str:
    """A duration as Go writes it: ``1h30m0s``, ``1.5s``, ``300ms``, ``0s``."""
    if nanoseconds < 0:
        return f"-{format_duration(-nanoseconds)}"
    if nanoseconds < SECOND:
        return _short_duration(nanoseconds)
    seconds, rest = divmod(nanoseconds, SECOND)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{seconds}{_fraction(rest, 9)}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _short_duration(nanoseconds: int) -> str:
    for unit, scale, digits in (("ms", 1_000_000, 6), ("µs", 1_000, 3), ("ns", 1, 0)):
        if nanoseconds >= scale:
            return f"{nanoseconds // scale}{_fraction(nanoseconds % scale, digits)}{unit}"
    return "0s"


def _fraction(rest: int, digits: int) -> str:
    return f".{rest:0{digits}d}".rstrip("0") if rest else ""


def human_duration(seconds: float) -> str:
    """A duration for people, in Docker's words: ``Less than a second``, ``About a minute``, ``3 weeks``."""
    whole = int(seconds)
    minutes, hours = whole // 60, round(whole / 3600)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    return _long_duration(whole // 3600, hours)


def _long_duration(whole: int, rounded: int) -> str:
    if rounded < 48:
        return f"{rounded} hours"
    if rounded < 24 * 7 * 2:
        return f"{rounded // 24} days"
    if rounded < 24 * 30 * 2:
        return f"{rounded // 24 // 7} weeks"
    if rounded < 24 * 365 * 2:
        return f"{rounded // 24 // 30} months"
    return f"{whole // 24 // 365} years"


def format_time(nanoseconds: int) -> str:
    """RFC 3339 with all nine digits, UTC: ``2026-01-02T03:04:05.123456789Z``; log lines and inspection."""
    seconds, rest = divmod(nanoseconds, SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


def now() -> int:
    """The time."""
    return time.time_ns()


def parse_time(text: str) -> int:
    """Nanoseconds of an RFC 3339 time; what is left out at its end is zero, and UTC. Raises InvalidArgument."""
    match = _TIMESTAMP.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument(f'cannot parse "{text}" as a time: use RFC 3339, as in 2026-01-02T03:04:05Z')
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    fields = (int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
    if not _on_the_calendar(*fields):
        raise InvalidArgument(f'cannot parse "{text}" as a time: a part is out of range')
    return (calendar.timegm(fields) - _offset(zone)) * SECOND + int((fraction or "0").ljust(9, "0"))


def _on_the_calendar(year: int, month: int, day: int, hour: int, minute: int, second: int) -> bool:
    if not (year >= 1 and 1 <= month <= 12 and hour < 24 and minute < 60 and second < 60):
        return False
    return 1 <= day <= calendar.monthrange(year, month)[1]


def _offset(zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    return -seconds if zone[0] == "-" else seconds


def parse_moment(text: str, reference: int | None = None) -> int:
    """Nanoseconds of what ``--since`` and ``until`` take: ``unix.nanos``, RFC 3339, or a duration back from now.

    ``reference``: what "now" is. Raises InvalidArgument.
    """
    unix = _UNIX.fullmatch(text)
    if unix:
        fraction = int((unix[2] or "0").ljust(9, "0"))
        return int(unix[1]) * SECOND + fraction
    if _TIMESTAMP.fullmatch(text):
        return parse_time(text)
    try:
        return (now() if reference is None else reference) - parse_duration(text)
    except InvalidArgument:
        raise InvalidArgument(f'failed to parse value as time or duration: "{text}"') from None
