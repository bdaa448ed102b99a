import contextlib
import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.errors import InvalidArgument
from cove.layers.tar.header import Header
from cove.layers.tar.reader import Limits, Reader
from cove.layers.tar.stream import ByteStream
from unit.layers.tars import Tar

DEFAULT = Limits()


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def read(data: bytes, size: int = 700, limits: Limits = DEFAULT) -> list[tuple[Header, bytes]]:
    reader = Reader(ByteStream(pieces(data, size)), limits)
    return [(entry, b"".join(reader.data())) for entry in reader]


name = st.text(st.characters(exclude_characters="\0/", exclude_categories=("Cs",)), min_size=1, max_size=60).filter(
    lambda text: text not in (".", "..")
)
path = st.lists(name, min_size=1, max_size=4).map("/".join)
entry = st.fixed_dictionaries(
    {
        "name": path,
        "data": st.binary(max_size=1500),
        "mode": st.integers(0, 0o7777),
        "uid": st.integers(0, 1 << 22),
        "gid": st.integers(0, 1 << 40),
        "mtime": st.integers(0, 1 << 40),
    }
)


@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@given(entries=st.lists(entry, max_size=5), size=st.integers(1, 2000))
def test_reads_what_tarfile_writes(format_: int, entries: list[dict[str, object]], size: int) -> None:
    tar = Tar(format_)
    for fields in entries:
        tar.add(**fields)  # type: ignore[arg-type]
    found = read(tar.bytes(), size)
    assert [
        {
            "name": header.name.decode(),
            "data": data,
            "mode": header.mode,
            "uid": header.uid,
            "gid": header.gid,
            "mtime": header.mtime // 10**9,
        }
        for header, data in found
    ] == entries


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_and_links(format_: int) -> None:
    long = "d" * 90 + "/" + "e" * 60
    target = "t" * (90 if format_ == tarfile.USTAR_FORMAT else 3000)
    ((header, data),) = read(Tar(format_).add(long, kind=tarfile.SYMTYPE, linkname=target).bytes())
    assert (header.name.decode(), header.link.decode(), data) == (long, target, b"")


def test_fractional_and_negative_times() -> None:
    found = read(Tar().add("a", mtime=1.5).add("b", mtime=-2.25).bytes())
    assert [header.mtime for header, _ in found] == [1_500_000_000, -2_250_000_000]


def test_extended_attributes() -> None:
    value = bytes(range(256)).decode("utf-8", "surrogateescape")
    ((header, _),) = read(Tar().add("a", pax_headers={"SCHILY.xattr.user.x": value}).bytes())
    assert header.xattrs == {b"user.x": bytes(range(256))}


def test_global_headers_hold_until_they_are_replaced() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"mtime": "7"}) as tar:
        tar.addfile(tarfile.TarInfo("a"))
    assert read(out.getvalue())[0][0].mtime == 7 * 10**9


def test_end_marks() -> None:
    tar = Tar().add("a", b"x")
    assert len(read(tar.raw())) == len(read(tar.bytes())) == len(read(tar.bytes() + b"whatever")) == 1
    assert read(b"") == []
    with pytest.raises(InvalidArgument, match="one block of zeros"):
        read(tar.raw() + bytes(512) + tar.bytes())


@pytest.mark.parametrize("cut", [1, 511, 513, 600, 1023 + 512])
def test_cut_short(cut: int) -> None:
    with pytest.raises(InvalidArgument, match="unexpected end of input"):
        read(Tar().add("a", b"x" * 1200).raw()[:cut])


def test_cut_data_names_the_entry() -> None:
    reader = Reader(ByteStream(iter([Tar().add("some/file", b"x" * 1200).raw()[:700]])), Limits())
    with pytest.raises(InvalidArgument, match=r"^some/file: unexpected end of input"):
        list(reader)


def test_damaged_header() -> None:
    data = bytearray(Tar().add("a").bytes())
    data[3] ^= 1
    with pytest.raises(InvalidArgument, match="invalid tar header"):
        read(bytes(data))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(entries=2), "c: the archive has more than 2 entries"),
        (Limits(total=25), "c: the archive has more than 25 bytes"),
        (Limits(path=0), "a: path is longer than 0 bytes"),
    ],
)
def test_limits(limits: Limits, message: str) -> None:
    tar = Tar()
    for letter in "abc":
        tar.add(letter, b"x" * 10)
    with pytest.raises(InvalidArgument, match=message):
        read(tar.bytes(), limits=limits)


def test_huge_extension_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="extension"):
        read(Tar(tarfile.GNU_FORMAT).add("x" * (1 << 21)).bytes())


@pytest.mark.parametrize("format_", ["gnu", "pax --sparse-version=0.0", "pax --sparse-version=0.1", "pax"])
def test_sparse_files_of_gnu_tar(tmp_path: Path, format_: str) -> None:
    with (tmp_path / "holes").open("wb") as file:
        for number in range(40):
            file.seek(number * 100_000)
            file.write(b"%d" % number)
        file.truncate(5_000_000)
    command = f"tar --sparse --format={format_} -cf - holes"
    data = subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True).stdout
    ((header, stored),) = read(data)
    rebuilt = bytearray(header.real_size)
    for offset, length in header.data_runs or ():
        rebuilt[offset : offset + length], stored = stored[:length], stored[length:]
    assert bytes(rebuilt) == (tmp_path / "holes").read_bytes()
    assert header.name == b"holes" and stored == b""


SEEDS = [
    Tar().add("a" * 200, b"x" * 600, pax_headers={"SCHILY.xattr.user.x": "1"}).symlink("l", "a").bytes(),
    Tar(tarfile.GNU_FORMAT).add("a" * 200, b"x" * 600, uid=1 << 40).directory("d").bytes(),
]


@given(
    seed=st.sampled_from(SEEDS), changes=st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=20)), max_size=5)
)
def test_any_damage_is_read_or_refused(seed: bytes, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(seed)
    for at, new in changes:
        data[at : at + len(new)] = new
    with contextlib.suppress(InvalidArgument):
        read(_with_checksums(data))


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidArgument):
        read(data)


def _with_checksums(data: bytearray) -> bytes:
    """Right checksums for all blocks that look like headers, so that damage gets past the first check."""
    for at in range(0, len(data) - 511, 512):
        block = data[at : at + 512]
        if block[257:262] == b"ustar":
            total = sum(block[:148]) + sum(block[156:]) + 8 * 32
            data[at + 148 : at + 156] = b"%06o\0 " % total
    return bytes(data)
