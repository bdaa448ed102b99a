"""Reading a log that the shim's own LogFile writes: tails, following, rotation; no line is lost, none comes twice."""

import asyncio
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cove.engine.logs import formats as log_formats
from cove.engine.logs import reader as logreader
from cove.engine.logs.files import CHUNK
from cove.runtime.logs.container_log import ContainerLog
from cove.wire.streams import LogEntry
from harness.logs import open_log

ENOUGH = 20.0
"""Seconds after which a reader that waits for ever has failed."""


def log_file(path: Path, *, max_size: int = 0, max_file: int = 0) -> ContainerLog:
    return open_log(path, max_size=max_size, max_file=max_file)


def write(log: ContainerLog, *texts: str) -> None:
    for text in texts:
        log.write("stdout", text.encode() + b"\n")


async def texts(batches: AsyncIterator[list[LogEntry]]) -> list[str]:
    return [line.line.decode().removesuffix("\n") async for batch in batches for line in batch]


def read(path: Path, tail: int | None = None) -> list[str]:
    return asyncio.run(asyncio.wait_for(texts(logreader.read(path, tail, None)), ENOUGH))


def numbered(count: int) -> list[str]:
    return [f"line {number}" for number in range(count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_a_container_that_never_ran_has_no_log(path: Path) -> None:
    assert read(path) == [] and read(path, tail=3) == []


def test_lines_come_with_stream_time_and_attributes(path: Path) -> None:
    path.write_bytes(b'{"log":"a\\n","stream":"stderr","attrs":{"tag":"t"},"time":"2026-01-02T03:04:05.12Z"}\n')

    async def only() -> list[LogEntry]:
        return [line async for batch in logreader.read(path, None, None) for line in batch]

    assert asyncio.run(only()) == [LogEntry(2, 1_767_323_045_120_000_000, b"a\n", {"tag": "t"})]


@pytest.mark.parametrize("tail", [None, 0, 1, 2, 9, 10, 11, 100])
@pytest.mark.parametrize("max_size", [0, 90, 300, 1000])
def test_a_tail_reaches_back_over_rotated_files(path: Path, tail: int | None, max_size: int) -> None:
    log = log_file(path, max_size=max_size)
    write(log, *numbered(10))
    log.finish()
    assert len(os.listdir(path.parent)) > 1 or max_size in (0, 1000)
    assert read(path, tail) == numbered(10)[-tail if tail else 0 :][: 10 if tail is None else tail]


def test_more_than_nine_rotated_files_keep_their_order(path: Path) -> None:
    log = log_file(path, max_size=1)
    write(log, *numbered(25))
    log.finish()
    assert len(os.listdir(path.parent)) == 25
    assert read(path) == numbered(25)
    assert read(path, 13) == numbered(25)[-13:]


def test_other_files_beside_the_log_are_none_of_it(path: Path) -> None:
    log = log_file(path)
    write(log, "a")
    log.finish()
    for name in ("log.txt", "log.gz.tmp", "hosts", "log.old"):
        (path.parent / name).write_text('{"log":"no","stream":"stdout","time":""}\n')
    assert read(path) == ["a"]


@pytest.mark.parametrize("tail", [None, 1, 2, 5])
def test_lines_longer_than_what_is_read_at_a_time(path: Path, tail: int | None) -> None:
    lines = ["short", "x" * (CHUNK + 5), "y" * (3 * CHUNK), "end"]
    with path.open("w") as file:
        for line in lines:
            file.write(f'{{"log":"{line}\\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}}\n')
    assert read(path, tail) == lines[-(tail or 4) :]


@pytest.mark.parametrize(("tail", "shown"), [(None, ["a", "b"]), (0, []), (1, ["b"]), (2, ["a", "b"]), (3, ["a", "b"])])
def test_a_torn_last_line_is_no_line(path: Path, tail: int | None, shown: list[str]) -> None:
    log = log_file(path)
    write(log, "a", "b")
    log.finish()
    with path.open("ab") as file:
        file.write(b'{"log":"cut sho')
    assert read(path, tail) == shown


def test_a_line_that_is_no_record_is_passed_over(path: Path) -> None:
    log = log_file(path)
    write(log, "a")
    with path.open("ab") as file:
        file.write(b"\0\0garbage\n[1]\n\n")
    write(log, "b")
    log.finish()
    assert read(path) == ["a", "b"]


def test_bytes_that_are_no_text_come_as_docker_shows_them(path: Path) -> None:
    log = log_file(path)
    log.write("stdout", b"\xff\0\x1b[1m\xe2\x82\n")
    log.finish()
    assert read(path) == ["\ufffd\0\x1b[1m\ufffd\ufffd"]


def test_a_log_that_grows_faster_than_it_is_read_ends_where_it_was(path: Path) -> None:
    log = log_file(path)
    write(log, *numbered(10))

    async def run() -> list[str]:
        found = []
        async for batch in logreader.read(path, None, None):
            found += [line.line.decode().rstrip() for line in batch]
            write(log, "later")
            assert len(found) < 100, "the reader runs after the writer"
        return found

    assert asyncio.run(run()) == numbered(10)
    log.finish()


class Follower:
    """A reader of a log that is followed, in steps that a test chooses."""

    def __init__(self, path: Path, tail: int | None = None) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._batches = logreader.read(path, tail, self.ended)
        self.seen: list[str] = []

    async def until(self, enough: Callable[[list[str]], bool]) -> None:
        while not enough(self.seen):
            batch = await asyncio.wait_for(anext(self._batches), ENOUGH)
            self.seen += [line.line.decode().removesuffix("\n") for line in batch]

    async def to_the_end(self) -> list[str]:
        self.ended.set_result(0)
        self.seen += await asyncio.wait_for(texts(self._batches), ENOUGH)
        return self.seen


def test_following_shows_what_was_and_what_comes(path: Path) -> None:
    async def run() -> None:
        log = log_file(path)
        write(log, "a", "b", "c")
        follower = Follower(path, tail=2)
        await follower.until(lambda seen: seen == ["b", "c"])
        write(log, "d")
        await follower.until(lambda seen: seen[-1] == "d")
        log.write("stderr", b"no newline")
        log.finish()
        assert await follower.to_the_end() == ["b", "c", "d", "no newline"]

    asyncio.run(run())


def test_a_follower_that_goes_leaves_no_descriptor_with_the_loop(path: Path) -> None:
    """One that is watched after it was closed is another's by then, who waits for ever."""

    async def run() -> None:
        log = log_file(path)
        write(log, "a")
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        batches = logreader.read(path, None, ended)
        assert await anext(batches)
        watched = set(asyncio.get_running_loop()._selector.get_map())  # type: ignore[attr-defined]
        await batches.aclose()
        left = set(asyncio.get_running_loop()._selector.get_map())  # type: ignore[attr-defined]
        assert len(left) == len(watched) - 1
        log.finish()

    asyncio.run(run())


def test_following_begins_before_there_is_a_file(path: Path) -> None:
    async def run() -> None:
        follower = Follower(path)
        waiting = asyncio.create_task(follower.until(lambda seen: seen == ["a"]))
        for _ in range(5):
            await asyncio.sleep(0)
        log = log_file(path)
        write(log, "a")
        await waiting
        log.finish()
        await follower.to_the_end()

    asyncio.run(run())


def test_a_tail_of_nothing_follows_only_what_comes(path: Path) -> None:
    async def run() -> None:
        log = log_file(path)
        write(log, "a")
        follower = Follower(path, tail=0)
        waiting = asyncio.create_task(follower.until(bool))
        for _ in range(5):
            await asyncio.sleep(0)
        write(log, "b")
        await waiting
        log.finish()
        assert await follower.to_the_end() == ["b"]

    asyncio.run(run())


def test_a_slow_reader_skips_no_file_of_several_rotations(path: Path) -> None:
    async def run() -> None:
        log = log_file(path, max_size=100)
        write(log, "line 0")
        follower = Follower(path)
        await follower.until(lambda seen: seen == ["line 0"])
        write(log, *numbered(30)[1:])
        log.finish()
        assert await follower.to_the_end() == numbered(30)

    asyncio.run(run())


def test_a_reader_whose_file_is_no_longer_kept_goes_on_with_the_oldest(path: Path) -> None:
    async def run() -> None:
        log = log_file(path, max_size=1, max_file=3)
        write(log, "line 0")
        follower = Follower(path)
        await follower.until(lambda seen: seen == ["line 0"])
        write(log, *numbered(30)[1:])
        log.finish()
        assert await follower.to_the_end() == ["line 0", "line 27", "line 28", "line 29"]

    asyncio.run(run())


def test_a_log_of_one_file_begins_again(path: Path) -> None:
    async def run() -> None:
        log = log_file(path, max_size=100, max_file=1)
        write(log, "line 0", "line 1")
        follower = Follower(path)
        await follower.until(lambda seen: "line 1" in seen)
        write(log, "line 2")
        log.finish()
        assert await follower.to_the_end() == numbered(3)

    asyncio.run(run())


def test_rotations_cost_a_follower_no_descriptors(path: Path) -> None:
    async def run() -> None:
        log = log_file(path, max_size=1, max_file=3)
        write(log, "line 0")
        follower = Follower(path)
        await follower.until(lambda seen: seen == ["line 0"])
        before = len(os.listdir("/proc/self/fd"))
        for text in numbered(20)[1:]:
            write(log, text)
            await follower.until(lambda seen, text=text: seen[-1] == text)  # type: ignore[misc]
        assert len(os.listdir("/proc/self/fd")) == before
        log.finish()
        await follower.to_the_end()
        assert len(os.listdir("/proc/self/fd")) < before

    asyncio.run(run())


def test_a_container_that_is_removed_ends_its_followers(path: Path) -> None:
    async def run() -> None:
        directory = path.parent / "container"
        directory.mkdir()
        log = log_file(directory / "log")
        write(log, "a")
        follower = Follower(directory / "log")
        await follower.until(bool)
        log.finish()
        (directory / "log").unlink()
        directory.rmdir()
        assert await follower.to_the_end() == ["a"]

    asyncio.run(run())


STEPS = st.lists(st.one_of(st.integers(1, 12), st.none()), max_size=20)
"""Write so many lines, or let the reader take a batch."""


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, max_size=st.sampled_from([0, 1, 80, 200, 500]))
def test_no_line_is_lost_or_repeated(steps: list[int | None], max_size: int) -> None:
    async def run(directory: str) -> None:
        log = log_file(Path(directory, "log"), max_size=max_size)
        follower = Follower(Path(directory, "log"))
        written: list[str] = []
        for step, count in enumerate(steps):
            seen = len(follower.seen)
            if count is not None:
                lines = [f"step {step} line {number}" for number in range(count)]
                log.write("stdout", "".join(f"{line}\n" for line in lines).encode())
                written += lines
            elif seen < len(written):
                await follower.until(lambda lines, seen=seen: len(lines) > seen)  # type: ignore[misc]
        log.finish()
        assert await follower.to_the_end() == written

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(directory))


@pytest.mark.parametrize("max_size", [1, 100, 400])
def test_a_rotation_at_any_moment_of_a_reading(path: Path, max_size: int) -> None:
    """A writer rotates all the while; every reading is one unbroken stretch from the first line on."""
    lines = numbered(300)

    def write_all() -> None:
        log = log_file(path, max_size=max_size)
        write(log, *lines)
        log.finish()

    writer = threading.Thread(target=write_all)
    writer.start()
    while writer.is_alive():
        seen = read(path)
        assert seen == lines[: len(seen)]
    writer.join()
    assert read(path) == lines


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("2026-01-02T03:04:05.123456789Z", 1_767_323_045_123_456_789),
        ("", 0),
        ("yesterday", 0),
    ],
)
def test_the_time_of_a_line(text: str, moment: int) -> None:
    assert log_formats.nanoseconds(text) == moment
