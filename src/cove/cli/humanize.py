"""Sizes, durations and times as Docker's command line writes and reads them (the go-units conventions)."""

from __future__ import annotations

import time

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_SUFFIXES = "bkmgtp"


def size(value: float, precision: int = 4) -> str:
    """1984000 → "1.984MB": powers of 1000, ``precision`` significant digits."""
    return _scaled(value, 1000.0, _DECIMAL, precision)


def short_size(value: float) -> str:
    """1984000 → "1.98MB", as image and container sizes are listed."""
    return _scaled(value, 1000.0, _DECIMAL, 3)


def memory(value: float) -> str:
    """1105920 → "1.055MiB": powers of 1024."""
    return _scaled(value, 1024.0, _BINARY, 4)


def _scaled(value: float, base: float, units: tuple[str, ...], precision: int) -> str:
    step = 0
    value = float(value)
    while value >= base and step < len(units) - 1:
        value /= base
        step += 1
    return f"{value:.{precision}g}{units[step]}"


def parse_memory(text: str) -> int:
    """ "512m" → bytes, powers of 1024. Raises ValueError with Docker's words."""
    return _parse_size(text, 1024)


def parse_size(text: str) -> int:
    """ "512m" → bytes, powers of 1000."""
    return _parse_size(text, 1000)


def _parse_size(text: str, base: int) -> int:
    digits_end = max((place + 1 for place, char in enumerate(text) if char in "0123456789. "), default=0)
    number, suffix = text[:digits_end].rstrip(" "), text[digits_end:].lower()
    try:
        value = float(number)
    except ValueError:
        raise ValueError(f"invalid size: '{text}'") from None
    if value < 0:
        raise ValueError(f"invalid size: '{text}'")
    if not suffix:
        return int(value)
    scale = _SUFFIXES.find(suffix[0])
    rest = suffix[1:]
    if scale < 0 or rest not in ("", "b", "ib") or (scale == 0 and rest):
        raise ValueError(f"invalid suffix: '{text[digits_end:]}'")
    return int(value * base**scale)


def duration(seconds: float) -> str:
    """How long, in words: "Less than a second", "About an hour", "3 weeks"."""
    seconds = int(seconds)
    minutes = seconds // 60
    hours = int(seconds / 3600 + 0.5)
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"


def ago(seconds_since_epoch: float) -> str:
    return duration(time.time() - seconds_since_epoch) + " ago"


def local_time(seconds_since_epoch: int, fraction: str = "") -> str:
    """As Go prints a local time: "2026-11-24 17:32:16 +0000 UTC"; ``fraction`` is ".123" or empty."""
    moment = time.localtime(seconds_since_epoch)
    return time.strftime("%Y-%m-%d %H:%M:%S", moment) + fraction + time.strftime(" %z ", moment) + moment.tm_zone


def iso_time(seconds_since_epoch: int) -> str:
    """RFC 3339 in local time, seconds: "2026-11-24T17:32:16Z"."""
    moment = time.localtime(seconds_since_epoch)
    offset = time.strftime("%z", moment)
    zone = "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:]}"
    return time.strftime("%Y-%m-%dT%H:%M:%S", moment) + zone


def parse_rfc3339(text: str) -> tuple[int, str]:
    """Seconds since the epoch and the digits of the fraction. Raises ValueError.

    By hand: strptime brings locale, datetime and calendar with it, 6 ms of a command's 30.
    """
    main, zone = text[:19], text[19:]
    fraction = ""
    if zone.startswith("."):
        fraction = zone[1 : 1 + len(zone[1:]) - len(zone[1:].lstrip("0123456789"))]
        zone = zone[1 + len(fraction) :]
    if len(main) != 19 or main[4] + main[7] + main[10] + main[13] + main[16] != "--T::":
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    year, month, day, hour, minute, second = (
        int(main[start:end]) for start, end in ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))
    )
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60):
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    seconds = _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    if zone in ("Z", "z", ""):
        return seconds, fraction
    if len(zone) != 6 or zone[0] not in "+-" or zone[3] != ":":
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    sign = -1 if zone[0] == "-" else 1
    return seconds - sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60), fraction


def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 in the Gregorian calendar; a year here begins in March, so that leap days come last."""
    year -= month <= 2
    in_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + in_year - 719468


_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def parse_duration(text: str) -> int:
    """ "1h30m" → nanoseconds, in Go's grammar. Raises ValueError with Go's words."""
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    total = 0.0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = rest[: len(rest) - len(rest.lstrip("nuµmsh"))]
        unit = unit if unit in _UNITS else unit[:1]
        if not number.replace(".", "", 1).isdecimal():
            raise ValueError(f'time: invalid duration "{text}"')
        if unit not in _UNITS:
            what = "missing unit in" if not rest else f'unknown unit "{rest}" in'
            raise ValueError(f'time: {what} duration "{text}"')
        rest = rest[len(unit) :]
        total += float(number) * _UNITS[unit]
    return int(-total if text.startswith("-") else total)


def show_duration(nanoseconds: int) -> str:
    """As Go prints a duration: 90 s → "1m30s"."""
    if nanoseconds == 0:
        return "0s"
    sign, value = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    for unit, scale in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if value < scale * 1000:
            return f"{sign}{value / scale:.9f}".rstrip("0").rstrip(".") + unit
    hours, value = divmod(value, _UNITS["h"])
    minutes, value = divmod(value, _UNITS["m"])
    text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{text}{value / 10**9:.9f}".rstrip("0").rstrip(".") + "s"


def ellipsis(text: str, width: int) -> str:
    """At most ``width`` columns, the last being "…" when something was cut."""
    return text if len(text) <= width else text[: width - 1] + "…"


def local_offset_time(nanoseconds: int) -> str:
    """RFC 3339 in local time with nine digits: "2026-11-24T17:53:24.777812439Z"."""
    text = iso_time(nanoseconds // 10**9)
    return f"{text[:19]}.{nanoseconds % 10**9:09d}{text[19:]}"
