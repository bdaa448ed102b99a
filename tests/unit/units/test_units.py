"""Sizes, durations and times, against what Go prints and takes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.errors import InvalidArgument
from cove.units import (
    SECOND,
    format_duration,
    format_time,
    human_binary_size,
    human_duration,
    human_size,
    parse_duration,
    parse_moment,
    parse_size,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("64k", 65536), ("64 KB", 65536), ("1.5g", 1610612736), ("2GiB", 2 << 30), ("1b", 1)],
)
def test_parse_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1x", "1kk", "1e3", "1 2", "0x10", "\u0661"])
def test_parse_size_refuses(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "shown", "binary"),
    [
        (0, "0B", "0B"),
        (999, "999B", "999B"),
        (1000, "1kB", "1000B"),
        (1984287, "1.984MB", "1.892MiB"),
        (1 << 30, "1.074GB", "1GiB"),
        (123456789, "123.5MB", "117.7MiB"),
    ],
)
def test_human_sizes(size: int, shown: str, binary: str) -> None:
    assert (human_size(size), human_binary_size(size)) == (shown, binary)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("10s", 10 * SECOND),
        ("1h30m", 5400 * SECOND),
        ("-1.5s", -1_500_000_000),
        ("+300ms", 300_000_000),
        ("1us1ns", 1001),
        ("2µs", 2000),
        (".5m", 30 * SECOND),
    ],
)
def test_parse_duration(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "-", "10", "s", "1x", "1s ", "1s2", "--1s", "."])
def test_parse_duration_refuses(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1500, "1.5µs"),
        (300_000_000, "300ms"),
        (1_500_000_000, "1.5s"),
        (60 * SECOND, "1m0s"),
        (5400 * SECOND, "1h30m0s"),
        (3600 * SECOND + 1, "1h0m0.000000001s"),
        (-SECOND, "-1s"),
    ],
)
def test_format_duration(nanoseconds: int, text: str) -> None:
    assert format_duration(nanoseconds) == text


@given(st.integers(-(1 << 62), 1 << 62))
def test_durations_survive(nanoseconds: int) -> None:
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.9, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_human_duration(seconds: float, words: str) -> None:
    assert human_duration(seconds) == words


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-02T03:04:05.123456789Z", 1_767_323_045_123_456_789),
        ("2026-01-02T03:04:05.5+01:00", 1_767_319_445_500_000_000),
        ("2026-01-02T03:04:05", 1_767_323_045_000_000_000),
        ("2026-01-02T03:04", 1_767_323_040_000_000_000),
        ("2026-01-02", 1_767_312_000_000_000_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800 * SECOND),
    ],
)
def test_parse_time(text: str, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-02-30", "2026-01-02T25:00:00Z", "0000-01-01"])
def test_parse_time_refuses(text: str) -> None:
    with pytest.raises(InvalidArgument, match="as a time"):
        parse_time(text)


@given(st.integers(0, 4_000_000_000 * SECOND))
def test_times_survive(nanoseconds: int) -> None:
    text = format_time(nanoseconds)
    assert len(text) == len("2026-01-02T03:04:05.123456789Z")
    assert parse_time(text) == parse_moment(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1136073600", 1136073600 * SECOND),
        ("1136073600.000000001", 1136073600 * SECOND + 1),
        ("1136073600.5", 1136073600 * SECOND + SECOND // 2),
        ("10m", 400 * SECOND),
        ("1970-01-01T00:00:01Z", SECOND),
        ("-10s", 1010 * SECOND),
    ],
)
def test_parse_moment(text: str, nanoseconds: int) -> None:
    assert parse_moment(text, reference=1000 * SECOND) == nanoseconds


def test_parse_moment_refuses() -> None:
    with pytest.raises(InvalidArgument, match='time or duration: "soon"'):
        parse_moment("soon")


@given(st.text(max_size=40))
def test_parsers_only_raise_ours(text: str) -> None:
    for parse in (parse_size, parse_duration, parse_time, parse_moment):
        with contextlib.suppress(InvalidArgument):
            parse(text)
