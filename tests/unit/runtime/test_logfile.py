"""The json-file log: Docker's records, pieces of long lines, rotation, a full disk."""

import json
import os
import re
import resource
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cove.runtime.logs import jsonfile
from cove.runtime.logs.lines import PIECE, has_long_line, pieces
from harness.logs import open_log


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def texts(path: Path) -> list[str]:
    return [record["log"] for record in records(path)]


def test_a_record_is_docker_s(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log", attributes={"z": "<b>", "a": '"'})
    log.write("stderr", b"hello\n")
    time = rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z"'
    attributes = rb'"attrs":{"a":"\\"","z":"\\u003cb\\u003e"}'
    assert re.fullmatch(
        rb'{"log":"hello\\n","stream":"stderr",' + attributes + rb',"time":' + time + rb"}\n",
        (tmp_path / "log").read_bytes(),
    )
    log.finish()


@pytest.mark.parametrize(
    ("written", "escaped"),
    [  # what the real engine wrote for these bytes
        (b'\b\f\001\x7f\t\r"\\', rb"\u0008\u000c\u0001" + b"\x7f" + rb"\u0009\r\"\\"),
        (b"<&>", rb"\u003c\u0026\u003e"),
        (b"\xe2\x82 ", rb"\ufffd\ufffd "),
        (b"\xe2\x80\xa8\xe2\x80\xa9", rb"\u2028\u2029"),
        ("ü€😀\ufffd".encode(), "ü€😀\ufffd".encode()),
        (b"\xff\xc3(\xed\xa0\x80", rb"\ufffd\ufffd(\ufffd\ufffd\ufffd"),
    ],
)
def test_bytes_are_escaped_as_docker_does(tmp_path: Path, written: bytes, escaped: bytes) -> None:
    log = open_log(tmp_path / "log")
    log.write("stdout", written + b"\n")
    log.finish()
    assert (tmp_path / "log").read_bytes().startswith(b'{"log":"' + escaped + rb'\n","stream":"stdout"')


def test_long_lines_are_cut(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    log.write("stdout", b"x" * PIECE)
    log.write("stdout", b"\nshort\n" + b"y" * (2 * PIECE + 1) + b"\n" + b"tail")
    log.finish()
    assert texts(tmp_path / "log") == ["x" * PIECE, "\n", "short\n", "y" * PIECE, "y" * PIECE, "y\n", "tail"]


def test_the_pieces_of_a_line_have_one_time(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    for _ in range(3):
        log.write("stdout", b"x" * PIECE)
    log.write("stdout", b"\nnext\n")
    log.finish()
    times = [record["time"] for record in records(tmp_path / "log")]
    assert len(set(times[:4])) == 1 and times[4] != times[0]


def test_a_line_that_comes_in_parts_is_one_record(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    log.write("stdout", b"pro")
    log.write("stderr", b"other\n")
    assert texts(tmp_path / "log") == ["other\n"]
    log.write("stdout", b"mpt\n\n")
    log.finish()
    assert texts(tmp_path / "log") == ["other\n", "prompt\n", "\n"]


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(min_value=1, max_value=7))
def test_how_output_is_read_makes_no_difference(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], repeat: int
) -> None:
    directory = tmp_path_factory.mktemp("log")
    logs = []
    for name, chunks in (("whole", [b"".join(parts * repeat)]), ("parts", parts * repeat)):
        log = open_log(directory / name)
        for chunk in chunks:
            log.write("stdout", chunk)
        log.finish()
        logs.append(texts(directory / name))
    assert logs[0] == logs[1]
    assert "".join(logs[0]).count("\n") == b"".join(parts * repeat).count(b"\n")


def test_rotation_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = open_log(path, max_size=1000, max_file=3)
    for first in range(0, 100, 20):
        log.write("stdout", b"".join(b"line %02d\n" % number for number in range(first, first + 20)))
    log.finish()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    kept = texts(tmp_path / "log.2") + texts(tmp_path / "log.1") + texts(path)
    assert kept == [f"line {number:02d}\n" for number in range(100 - len(kept), 100)]
    line = len(path.read_bytes().splitlines(keepends=True)[0])
    for file in (tmp_path / "log.1", tmp_path / "log.2"):
        assert 1000 - line < file.stat().st_size < 1000 + line


def test_one_file_is_begun_anew(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log", max_size=500, max_file=1)
    log.write("stdout", b"".join(b"line %02d\n" % number for number in range(50)))
    log.finish()
    assert [file.name for file in tmp_path.iterdir()] == ["log"]
    assert texts(tmp_path / "log")[-1] == "line 49\n"
    assert (tmp_path / "log").stat().st_size < 600


def test_without_a_number_every_file_is_kept(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log", max_size=200, max_file=0)
    log.write("stdout", b"".join(b"line %02d\n" % number for number in range(20)))
    log.finish()
    files = sorted(tmp_path.iterdir(), key=lambda file: -int(file.suffix[1:] or 0))
    assert [text for file in files for text in texts(file)] == [f"line {number:02d}\n" for number in range(20)]


def test_a_log_is_continued_by_the_next_run(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        log = open_log(tmp_path / "log")
        log.write("stdout", text)
        log.finish()
    assert texts(tmp_path / "log") == ["one\n", "two\n"]


def test_a_full_disk_costs_lines_and_leaves_no_half_record(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = open_log(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))  # Python ignores SIGXFSZ: it is an error of write
    try:
        for number in range(20):
            log.write("stdout", b"line %02d\n" % number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    kept = texts(path)
    assert kept == [f"line {number:02d}\n" for number in range(len(kept))] and 3 < len(kept) < 20
    log.write("stdout", b"again\n")
    log.finish()
    note = f"cove: {20 - len(kept)} lines of output are missing here: {os.strerror(27)}\n"
    assert texts(path)[len(kept) :] == [note, "again\n"]


@settings(max_examples=300)
@given(
    st.lists(st.binary(max_size=30) | st.text(max_size=20).map(lambda text: text.encode(errors="replace")), max_size=6)
)
def test_the_quick_way_writes_what_the_thorough_one_does(parts: list[bytes]) -> None:
    """A rare control in a line of its own forces the thorough way for all of them."""
    records = jsonfile.JsonRecords({"a": "b"})
    data = b"".join(part + b"\n" for part in parts)
    if data:
        forced = records.records("stdout", data + b"\x01\n", 1)
        own = records.records("stdout", b"\x01\n", 1)
        assert forced == records.records("stdout", data, 1) + own


@pytest.mark.parametrize("length", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_a_long_line_is_found_wherever_it_is(length: int) -> None:
    long = b"x" * length + b"\n"
    for data in (long, b"a\n" * 9000 + long, long + b"a\n" * 9000, b"\n" + long + b"end"):
        assert has_long_line(data) == any(len(line) > PIECE for line in data.splitlines(keepends=True))
        assert max(map(len, pieces(data))) <= PIECE
