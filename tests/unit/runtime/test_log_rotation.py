"""Files of a log: blocks, torn ends, compression by a child."""

import asyncio
import gzip
import os
import random
import time
from pathlib import Path

import pytest

from cove.engine.logs import reader as logreader
from cove.engine.logs.formats import BlockLog
from cove.runtime.logs import blocks
from cove.runtime.logs.compression import compress
from cove.runtime.loop import Loop
from harness.logs import open_log


def lines(path: Path) -> list[bytes]:
    """What a file of blocks holds."""
    with path.open("rb") as file:
        log = BlockLog()
        begin = log.begin(file.fileno())
        entries, _used = log.take(path.read_bytes()[begin:])
    return [entry.line for entry in entries]


def test_output_is_kept_as_it_is(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log", driver="local")
    log.write("stdout", b'a\n\xff\0"<\n')
    log.write("stderr", b"no end")
    log.finish()
    data = (tmp_path / "log").read_bytes()
    assert data.startswith(blocks.MAGIC) and b'a\n\xff\0"<\n' in data
    assert len(data) == blocks.HEADER_SIZE + 2 * blocks.OVERHEAD + len(b'a\n\xff\0"<\n' + b"no end")
    assert lines(tmp_path / "log") == [b"a\n", b'\xff\0"<\n', b"no end"]


@pytest.mark.parametrize("driver", ["json-file", "local"])
@pytest.mark.parametrize("cut", [1, 5, 20, 40])
def test_half_a_record_of_a_killed_shim_is_cut_off(tmp_path: Path, driver: str, cut: int) -> None:
    path = tmp_path / "log"
    log = open_log(path, driver=driver)
    for number in range(5):
        log.write("stdout", b"line %d, and some more of it, longer than what is cut\n" % number)
    log.finish()
    os.truncate(path, path.stat().st_size - cut)
    log = open_log(path, driver=driver)
    log.write("stdout", b"next\n")
    log.finish()
    if driver == "local":
        assert [line[:6] for line in lines(path)] == [b"line 0", b"line 1", b"line 2", b"line 3", b"next\n"]
    else:
        assert path.read_bytes().count(b"\n") == 5 and b"line 4" not in path.read_bytes()


def test_the_next_run_goes_on_with_the_mark_of_the_file(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        log = open_log(tmp_path / "log", driver="local")
        log.write("stdout", text)
        log.finish()
    assert lines(tmp_path / "log") == [b"one\n", b"two\n"]


def test_what_looks_like_a_block_inside_of_one_is_none(tmp_path: Path) -> None:
    made = blocks.Blocks()
    fake = made.records("stderr", b"forged\n", 1)
    log = open_log(tmp_path / "log", driver="local")
    log.write("stdout", fake)
    log.finish()
    assert b"".join(lines(tmp_path / "log")).rstrip(b"\n") == fake


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def run_until(loop: Loop, directory: Path, wanted: list[str]) -> None:
    """Until these files are there and no others, or half a minute has gone by."""
    deadline = time.monotonic() + 30

    def look() -> None:
        if names(directory) == wanted or time.monotonic() > deadline:
            loop.stop()
        else:
            loop.later(0.01, look)

    loop.later(0, look)
    loop.run()


def test_rotated_files_are_compressed_behind_the_writer(tmp_path: Path) -> None:
    loop = Loop()
    loop.reap_children()
    path = tmp_path / "log"
    log = open_log(path, loop, max_size=2000, max_file=4, compress=True)
    log.on_idle = loop.stop
    written = [b"line %03d\n" % number for number in range(100)]
    for line in written:
        log.write("stdout", line)
        loop.later(0.02, loop.stop)
        loop.run()
        loop._stopped = False
    wanted = ["log", "log.1.gz", "log.2.gz", "log.3.gz"]
    run_until(loop, tmp_path, wanted)
    log.finish()
    loop.close()
    assert names(tmp_path) == wanted
    kept = b"".join(gzip.decompress((tmp_path / f"log.{number}.gz").read_bytes()) for number in (3, 2, 1))
    assert (kept + path.read_bytes()).count(b'"log":"line') == len(kept.splitlines()) + len(
        path.read_text().splitlines()
    )
    assert b"line 099" in path.read_bytes()


@pytest.mark.parametrize("seed", range(4))
def test_rotations_at_any_moment_of_a_compression(tmp_path: Path, seed: int) -> None:
    """A child that gets to its file late must not find another one under the name."""
    chance = random.Random(seed)
    loop = Loop()
    loop.reap_children()
    path = tmp_path / "log"
    log = open_log(path, loop, max_size=50_000, max_file=4, compress=True)
    for first in range(0, 40_000, 1000):
        log.write("stdout", b"".join(b"%d\n" % number for number in range(first, first + 1000)))
        loop.later(chance.random() * 0.02, loop.stop)
        loop.run()
        loop._stopped = False
    log.on_idle = loop.stop
    log.finish()
    if not log.idle:
        loop.run()
    loop.close()

    async def read() -> list[int]:
        return [int(entry.line) async for batch in logreader.read(path, None, None) for entry in batch]

    kept = asyncio.run(read())
    assert kept == list(range(40_000 - len(kept), 40_000)) and len(kept) > 1500


def test_a_file_that_was_not_compressed_in_time_is_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = open_log(path, max_size=100, max_file=3)
    for number in range(3):
        log.write("stdout", b"line %d with enough text for a file of its own, which is what is wanted\n" % number)
    log.finish()
    (tmp_path / "log.gz.tmp").write_bytes(b"half")
    loop = Loop()
    loop.reap_children()
    log = open_log(path, loop, max_size=100, max_file=3, compress=True)
    wanted = ["log", "log.1.gz", "log.2.gz"]
    run_until(loop, tmp_path, wanted)
    log.finish()
    loop.close()
    assert names(tmp_path) == wanted


def test_a_compressed_file_keeps_the_time_of_its_last_record(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"x" * 100_000)
    os.utime(plain, ns=(5, 1_700_000_000_123_456_789))
    with plain.open("rb") as source:
        compress(source.fileno(), str(tmp_path / "packed"))
    assert (tmp_path / "packed").stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert gzip.decompress((tmp_path / "packed").read_bytes()) == plain.read_bytes()
