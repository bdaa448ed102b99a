"""Seeking in logs of both formats, compressed ones too: the same entries as reading all of it and leaving some out."""

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cove.engine.logs import reader as logreader
from cove.engine.logs.formats import BlockLog, Format, JsonLines
from cove.engine.logs.options import LogDefaults, check, complete, rotation
from cove.engine.logs.search import Search
from cove.engine.patterns import compile_pattern
from cove.errors import InvalidArgument
from cove.runtime.logs.blocks import Blocks
from cove.runtime.logs.compression import compress
from cove.runtime.logs.jsonfile import JsonRecords
from cove.runtime.logs.rotation import RotatedFile
from cove.wire.host_config import HostConfig, LogConfig
from cove.wire.streams import LogEntry

SECOND = 1_000_000_000
FORMATS: dict[str, tuple[Callable[[], Any], Callable[[], Format]]] = {
    "json-file": (JsonRecords, JsonLines),
    "local": (Blocks, BlockLog),
}


def written(path: Path, driver: str, count: int, *, max_size: int = 0) -> list[tuple[int, bytes]]:
    """A log of ``count`` lines, one a second, some in one block, some long; what it holds."""
    random.seed(count)
    file = RotatedFile(str(path), FORMATS[driver][0](), max_size, 0)
    made: list[tuple[int, bytes]] = []
    while len(made) < count:
        when = len(made) * SECOND
        together = [
            b"%06d %s\n" % (len(made) + at, b"x" * random.randrange(300)) for at in range(random.randrange(1, 5))
        ]
        file.append(random.choice(("stdout", "stderr")), b"".join(together), when)
        made += [(when, line) for line in together]
    file.close()
    return made


def read(path: Path, driver: str, tail: int | None = None, since: int = 0) -> list[tuple[int, bytes]]:
    async def run() -> list[LogEntry]:
        batches = logreader.read(path, tail, None, since=since, format_=FORMATS[driver][1])
        return [entry async for batch in batches for entry in batch]

    return [(entry.time, entry.line) for entry in asyncio.run(run())]


@pytest.mark.parametrize("driver", FORMATS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("max_size", [0, 200_000])
def test_a_tail_and_a_time_find_what_reading_all_does(tmp_path: Path, driver: str, packed: bool, max_size: int) -> None:
    made = written(tmp_path / "log", driver, 6000, max_size=max_size)
    if packed:
        for plain in tmp_path.glob("log.*"):
            with plain.open("rb") as source:
                compress(source.fileno(), f"{plain}.gz")
            plain.unlink()
    assert read(tmp_path / "log", driver) == made
    for tail in (0, 1, 2, 7, 1500, 5999, 6000, 9000):
        assert read(tmp_path / "log", driver, tail) == (made[-tail:] if tail else [])
    for second in (0, 1, 17, 3000, 5990, 5999):
        seen = read(tmp_path / "log", driver, since=second * SECOND)
        wanted = [entry for entry in made if entry[0] >= second * SECOND]
        assert seen[len(seen) - len(wanted) :] == wanted
        if not max_size:  # a file's own time is when it was written, which here is now
            assert len(seen) - len(wanted) < 1500  # it was looked for, and not all read


def test_a_large_log_is_searched_by_halves(tmp_path: Path) -> None:
    """Of a file of 60 MB a few windows are looked at."""
    path = tmp_path / "log"
    records = JsonRecords()
    with path.open("wb") as file:
        for second in range(600):
            file.write(records.records("stdout", b"%s\n" % (b"x" * 80) * 500, second * SECOND))
    looked: list[int] = []
    real = os.pread

    class Counted:
        def __call__(self, descriptor: int, size: int, at: int) -> bytes:
            looked.append(size)
            return real(descriptor, size, at)

    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.pread = Counted()
        position = JsonLines().since(descriptor, path.stat().st_size, 555 * SECOND)
    finally:
        os.pread = real
        os.close(descriptor)
    with path.open("rb") as file:
        file.seek(position)
        assert b'"time":"1970-01-01T00:09:1' in file.readline()
    assert sum(looked) < 1 << 20


@pytest.mark.parametrize("driver", FORMATS)
def test_damage_in_the_middle_costs_what_is_damaged(tmp_path: Path, driver: str) -> None:
    made = written(tmp_path / "log", driver, 2000)
    data = bytearray((tmp_path / "log").read_bytes())
    data[100_000:100_400] = b"\0" * 400
    (tmp_path / "log").write_bytes(data)
    seen = read(tmp_path / "log", driver)
    assert len(made) - 30 < len(seen) <= len(made) and set(seen) - set(made) <= {
        entry for entry in seen if b"\0" in entry[1]
    }
    assert seen[-100:] == made[-100:]


def entries(*texts: str) -> list[LogEntry]:
    return [LogEntry(1, number, text.encode()) for number, text in enumerate(texts)]


def searched(search: Search, *batches: list[LogEntry]) -> list[str]:
    found = [entry.line.decode() for batch in batches for entry in search.feed(batch)]
    return found + [entry.line.decode() for entry in search.caught_up()]


def test_a_search_with_what_is_around() -> None:
    lines = entries("a", "b", "c find", "d", "e", "f", "g find", "h find", "i", "j")
    pattern = compile_pattern("FIND", ignore_case=True)
    plain = Search(pattern, before=0, after=0, last=None)
    assert searched(plain, lines) == ["c find", "g find", "h find"]
    around = Search(pattern, before=1, after=1, last=None)
    assert searched(around, lines[:3], lines[3:7], lines[7:]) == ["b", "c find", "d", "f", "g find", "h find", "i"]
    last = Search(pattern, before=1, after=1, last=2)
    assert searched(last, lines) == ["f", "g find", "h find", "i"]


def test_a_pattern_cannot_keep_the_daemon_busy() -> None:
    assert not compile_pattern("(a+)+$").search(b"a" * 16_000 + b"b")


@pytest.mark.parametrize(
    ("pattern", "words"), [("(", "missing closing )"), ("[", "missing ]"), ("a{9999}", "repetition")]
)
def test_a_pattern_that_is_none(pattern: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match="error parsing regexp: ") as caught:
        compile_pattern(pattern)
    assert words in caught.value.message


def test_the_daemon_s_options_are_for_its_driver_alone() -> None:
    defaults = LogDefaults("local", {"max-size": "1m", "max-file": "2"})
    for given, options in (
        (LogConfig(), {"max-size": "1m", "max-file": "2"}),
        (LogConfig(type="local", config={"max-file": "9"}), {"max-size": "1m", "max-file": "9"}),
        (LogConfig(type="json-file"), {}),
    ):
        host = HostConfig(log_config=given)
        complete(host, defaults)
        assert host.log_config.config == options


@pytest.mark.parametrize(
    ("driver", "options", "found"),
    [
        ("json-file", {}, (20 << 20, 5, False)),
        ("json-file", {"max-size": "1k", "compress": "true"}, (1024, 5, True)),
        ("local", {}, (20 << 20, 5, True)),
        ("syslog", {}, (20 << 20, 5, True)),
        ("syslog", {"cache-max-size": "1m", "cache-compress": "false", "max-size": "9"}, (1 << 20, 5, False)),
        ("syslog", {"cache-disabled": "true"}, None),
        ("none", {}, None),
    ],
)
def test_rotation(driver: str, options: dict[str, str], found: tuple[int, int, bool] | None) -> None:
    assert rotation(driver, options) == found


@pytest.mark.parametrize(
    ("driver", "options", "words"),
    [
        ("json-file", {"nope": "1"}, "unknown log opt 'nope' for json-file log driver"),
        ("json-file", {"mode": "x"}, "logger: logging mode not supported: x"),
        ("local", {"tag": "1"}, "unknown log opt 'tag' for log driver local"),
        ("syslog", {"syslog-facility": "24"}, "invalid syslog facility"),
        ("syslog", {"syslog-address": "tcp://h:99999"}, "invalid address h:99999: Port out of range 0-65535"),
        ("syslog", {"cache-max-file": "0"}, "cache-max-file cannot be less than 1"),
        (
            "fluentd",
            {"fluentd-async-reconnect-interval": "11s"},
            'invalid value for fluentd-async-reconnect-interval: value ("11s") must be between 100ms and 10s',
        ),
        ("fluentd", {"fluentd-max-retries": "-1"}, 'strconv.ParseUint: parsing "-1": invalid syntax'),
        ("gelf", {}, "gelf-address is a required parameter"),
    ],
)
def test_options_that_cannot_be(driver: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check(driver, options)
    assert caught.value.message == words
