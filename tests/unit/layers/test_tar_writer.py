"""Archives that we write, read by the standard library and by our own reader."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.layers.pack import pack
from cove.layers.tar.header import Header
from cove.layers.tar.reader import Limits, Reader
from cove.layers.tar.stream import ByteStream
from cove.layers.tar.writer import Writer


def _header(name: bytes, kind: bytes = b"0", **fields: object) -> Header:
    made = Header(name, kind, 0o100644, 0, 0, 0, 0, b"", 0, 0, 0)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def _written(*entries: tuple[Header, bytes]) -> bytes:
    out = io.BytesIO()
    writer = Writer(out.write)
    for header, data in entries:
        writer.entry(header)
        if data:
            writer.data(data)
    writer.end()
    return out.getvalue()


def _read(data: bytes) -> list[Header]:
    return list(Reader(ByteStream(iter([data])), Limits()))


NAMES = st.binary(min_size=1, max_size=300).filter(lambda name: not set(name) & {0} and not name.endswith(b"/"))
NUMBERS = st.integers(0, 1 << 32)


@given(NAMES, st.binary(max_size=300).filter(lambda link: 0 not in link), NUMBERS, NUMBERS, st.integers(-5, 1 << 36))
def test_our_reader_reads_what_was_written(name: bytes, link: bytes, uid: int, gid: int, seconds: int) -> None:
    fields = {"uid": uid, "gid": gid, "mtime": seconds * 10**9, "link": link, "xattrs": {b"user.x": b"\x00=\n"}}
    [found] = _read(_written((_header(name, b"2", **fields), b"")))
    assert (found.name, found.link, found.uid, found.gid) == (name, link, uid, gid)
    assert found.mtime == seconds * 10**9
    assert found.xattrs == {b"user.x": b"\x00=\n"}


@pytest.mark.parametrize("length", [1, 99, 100, 101, 155, 200, 255, 256, 257, 1000])
def test_the_standard_library_reads_long_names(length: int) -> None:
    name = ("d/" * length)[: length - 1] + "f"
    data = _written((_header(name.encode(), size=3, real_size=3), b"abc"), (_header(b"next"), b""))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == [name, "next"]
        extracted = tar.extractfile(name)
        assert extracted is not None
        assert extracted.read() == b"abc"


def test_a_size_of_more_than_8_gib() -> None:
    out = io.BytesIO()
    Writer(out.write).entry(_header(b"large", size=9 << 30))
    assert b"size=9663676416\n" in out.getvalue()


def test_a_device() -> None:
    [found] = _read(_written((_header(b"null", b"3", major=1, minor=3), b"")))
    assert (found.kind, found.major, found.minor) == (b"3", 1, 3)


def _packed(path: Path, name: bytes = b"top") -> bytes:
    out = io.BytesIO()
    writer = Writer(out.write)
    pack(os.open(path, os.O_PATH | os.O_NOFOLLOW), name, writer)
    writer.end()
    return out.getvalue()


def _fill(root: Path, names: list[str]) -> None:
    root.mkdir()
    for name in names:
        (root / name).write_text(name)
    (root / "hard").hardlink_to(root / "b")
    (root / "link").symlink_to("/nowhere")
    (root / "directory").mkdir()
    (root / "directory" / "in").write_bytes(bytes(1000))
    os.mkfifo(root / "fifo")
    for path in [*root.iterdir(), root / "directory" / "in", root]:
        os.utime(path, (1, 1), follow_symlinks=False)


def test_a_tree_is_packed_in_order_and_the_same_each_time(tmp_path: Path) -> None:
    _fill(tmp_path / "one", ["b", "a", "c"])
    _fill(tmp_path / "two", ["c", "b", "a"])
    data = _packed(tmp_path / "one")
    assert data == _packed(tmp_path / "two")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = ["", "/a", "/b", "/c", "/directory", "/directory/in", "/fifo", "/hard", "/link"]
        assert tar.getnames() == [f"top{name}" for name in names]
        assert tar.getmember("top/hard").linkname == "top/b"
        assert tar.getmember("top/link").linkname == "/nowhere"


def test_sockets_and_the_unnamed_top_are_left_out(tmp_path: Path) -> None:
    os.mknod(tmp_path / "socket", 0o140644)
    (tmp_path / "file").touch()
    assert [found.name for found in _read(_packed(tmp_path, b""))] == [b"file"]


def test_one_file_and_one_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    assert [(found.name, found.kind) for found in _read(_packed(tmp_path / "file", b"f"))] == [(b"f", b"0")]
    assert [(found.name, found.kind) for found in _read(_packed(tmp_path / "link", b"l"))] == [(b"l", b"2")]


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    _fill(tmp_path / "one", ["b"])
    before = len(os.listdir("/proc/self/fd"))
    _packed(tmp_path / "one")
    assert len(os.listdir("/proc/self/fd")) == before
