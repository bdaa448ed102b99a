"""Sizes, durations, times and tables as Docker writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.cli.humanize import (
    duration,
    ellipsis,
    memory,
    parse_duration,
    parse_memory,
    parse_rfc3339,
    short_size,
    show_duration,
    size,
)
from cove.cli.published import summary
from cove.cli.tabwriter import align
from cove.cli.terminal import EscapeKeys, parse_keys

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    "seconds,words",
    [
        (0.5, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (MINUTE, "About a minute"),
        (119, "About a minute"),
        (2 * MINUTE, "2 minutes"),
        (59 * MINUTE, "59 minutes"),
        (HOUR, "About an hour"),
        (89 * MINUTE, "About an hour"),
        (90 * MINUTE, "2 hours"),
        (47 * HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (730 * DAY, "2 years"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    "value,whole,short,binary",
    [
        (0, "0B", "0B", "0B"),
        (999, "999B", "999B", "999B"),
        (1000, "1kB", "1kB", "1000B"),
        (1984000, "1.984MB", "1.98MB", "1.892MiB"),
        (1105920, "1.106MB", "1.11MB", "1.055MiB"),
        (25276502016, "25.28GB", "25.3GB", "23.54GiB"),
    ],
)
def test_sizes(value: int, whole: str, short: str, binary: str) -> None:
    assert (size(value), short_size(value), memory(value)) == (whole, short, binary)


@pytest.mark.parametrize(
    "text,value",
    [
        ("32", 32),
        ("32b", 32),
        ("32k", 32 << 10),
        ("32KB", 32 << 10),
        ("32KiB", 32 << 10),
        ("1.5g", 3 << 29),
        ("512m", 512 << 20),
        ("1 tb", 1 << 40),
    ],
)
def test_memory_reads(text: str, value: int) -> None:
    assert parse_memory(text) == value


@pytest.mark.parametrize("text", ["", "x", "1x", "1kx", "1bb", "k", "1.2.3", "-"])
def test_memory_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="invalid"):
        parse_memory(text)


@pytest.mark.parametrize(
    "text,nanoseconds",
    [
        ("1s", 10**9),
        ("1h30m", 5400 * 10**9),
        ("500ms", 5 * 10**8),
        ("1.5s", 15 * 10**8),
        ("-2m", -120 * 10**9),
        ("0", 0),
        ("3us", 3000),
        ("7ns", 7),
    ],
)
def test_durations_read(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "5", "s", "1x", "1.2.3s", "1s2"])
def test_durations_refuse(text: str) -> None:
    with pytest.raises(ValueError, match="time: "):
        parse_duration(text)


@given(st.integers(0, 10**6).map(lambda seconds: seconds * 10**9))
def test_durations_round_trip(nanoseconds: int) -> None:
    assert parse_duration(show_duration(nanoseconds)) == nanoseconds


def test_times() -> None:
    assert parse_rfc3339("2026-11-24T17:32:16.499417189Z") == (1795541536, "499417189")
    assert parse_rfc3339("2026-11-24T18:32:16+01:00") == (1795541536, "")


def test_columns() -> None:
    assert align("A\tB\tC\nlong cell here\tb\tc") == "A                B         C\nlong cell here   b         c"
    assert align("A\tB", minimum=20) == "A                   B"
    assert align("\tx\ny\tz") == "          x\ny         z"
    assert align("one\ntwo\tthree") == "one\ntwo       three"


@given(st.lists(st.lists(st.text(alphabet="ab ", max_size=5), min_size=1, max_size=4), max_size=5))
def test_columns_keep_every_cell(rows: list[list[str]]) -> None:
    aligned = align("\n".join("\t".join(row) for row in rows)).split("\n")
    assert all(line.endswith(row[-1]) and "\t" not in line for line, row in zip(aligned, rows, strict=False))


def test_ellipsis() -> None:
    assert (ellipsis("abc", 3), ellipsis("abcd", 3)) == ("abc", "ab…")


def _port(private: int, public: int = 0, ip: str = "", kind: str = "tcp") -> dict[str, object]:
    return {"PrivatePort": private, "PublicPort": public, "IP": ip, "Type": kind}


@pytest.mark.parametrize(
    "ports,text",
    [
        ([], ""),
        ([_port(80)], "80/tcp"),
        ([_port(80), _port(81), _port(82), _port(90)], "80-82/tcp, 90/tcp"),
        ([_port(80, 8080, "0.0.0.0"), _port(80, 8080, "::")], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([_port(80, 80, "0.0.0.0"), _port(81, 81, "0.0.0.0")], "0.0.0.0:80-81->80-81/tcp"),
        ([_port(53, kind="udp"), _port(53)], "53/tcp, 53/udp"),
    ],
)
def test_ports_in_a_list(ports: list[dict[str, object]], text: str) -> None:
    assert summary(ports) == text


def test_detach_keys() -> None:
    assert parse_keys("ctrl-p,ctrl-q") == b"\x10\x11"
    assert parse_keys("ctrl-@,a,ctrl-[") == b"\x00a\x1b"
    for bad in ("foo", "ctrl-", "ctrl-é", "ctrl-pp"):
        with pytest.raises(ValueError, match="Unknown character"):
            parse_keys(bad)


def test_escape_keys_hold_back_only_a_beginning() -> None:
    keys = EscapeKeys(b"\x10\x11")
    assert keys.feed(b"ab\x10") == (b"ab", False)
    assert keys.feed(b"c") == (b"\x10c", False)
    assert keys.feed(b"\x10\x10\x11rest") == (b"\x10", True)


@given(st.lists(st.binary(max_size=4), max_size=6))
def test_escape_keys_lose_nothing(pieces: list[bytes]) -> None:
    keys = EscapeKeys(b"qq")
    sent, detached = b"", False
    for piece in pieces:
        out, detached = keys.feed(piece)
        sent += out
        if detached:
            break
    typed = b"".join(pieces)
    if detached:
        assert typed.startswith(sent + b"qq")
    else:
        assert sent + b"q" * keys._held == typed
