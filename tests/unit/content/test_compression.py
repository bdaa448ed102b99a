import bz2
import contextlib
import gzip
import lzma
import os
from collections.abc import Callable, Iterator

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from cove.content.compression import PIECE, decompressed, detect
from cove.errors import InvalidArgument

DATA = os.urandom(200_000) + bytes(3 << 20) + os.urandom(1000)
FORMATS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
}
each = pytest.mark.parametrize("name", FORMATS)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@each
@pytest.mark.parametrize("size", [777, 1 << 20])
def test_members_and_padding(name: str, size: int) -> None:
    packed = FORMATS[name](DATA)
    assert detect(packed) == name
    pieces = list(decompressed(cut(packed + packed + bytes(512), size), name))
    assert b"".join(pieces) == DATA + DATA
    assert max(map(len, pieces)) <= PIECE


@each
@pytest.mark.parametrize("broken", ["cut", "changed", "garbage after"])
def test_broken_input(name: str, broken: str) -> None:
    packed = FORMATS[name](DATA)
    middle = len(packed) // 2
    data = {
        "cut": packed[:-3],
        "changed": packed[:middle] + bytes(byte ^ 255 for byte in packed[middle : middle + 8]) + packed[middle + 8 :],
        "garbage after": packed + b"garbage!",
    }[broken]
    with pytest.raises(InvalidArgument, match=f"invalid {name} data"):
        list(decompressed(iter([data]), name))


@each
def test_checksum_is_checked(name: str) -> None:
    packed = bytearray(FORMATS[name](os.urandom(1000)))
    packed[len(packed) // 2] ^= 1
    with pytest.raises(InvalidArgument):
        list(decompressed(iter([bytes(packed)]), name))


def test_zstd_skippable_frames() -> None:
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    data = skippable + zstd.compress(b"x") + skippable
    assert detect(data) == "zstd"
    assert b"".join(decompressed(iter([data]), "zstd")) == b"x"


def test_estargz_is_gzip() -> None:
    """A member for each file, the table of contents in the last but one, and an empty member as footer."""
    footer = b"\x1f\x8b\x08\x04" + bytes(6) + b"\x1a\0SG\x16\0" + b"%016xSTARGZ" % 4711 + b"\x01\0\0\xff\xff" + bytes(8)
    members = [gzip.compress(part) for part in (b"first", b"second", b"table")]
    data = b"".join(members) + footer
    assert len(footer) == 51
    assert b"".join(decompressed(cut(data, 7), "gzip")) == b"firstsecondtable"


def test_zstd_chunked_is_zstd() -> None:
    """A frame for each file, then the manifest, the tar's own bytes and the footer in frames to be skipped."""
    frames = [zstd.compress(part) for part in (b"first", b"second")]
    skipped = [b"\x50\x2a\x4d\x18" + len(part).to_bytes(4, "little") + part for part in (DATA[:70_000], b"f" * 64)]
    data = b"".join([*frames, *skipped])
    assert b"".join(decompressed(cut(data, 7), "zstd")) == b"firstsecond"


def test_plain_is_nothing() -> None:
    assert detect(b"") == detect(b"ustar") == detect(bytes(6)) == ""


@each
@given(data=st.binary(max_size=200))
def test_any_bytes(name: str, data: bytes) -> None:
    with contextlib.suppress(InvalidArgument):
        list(decompressed(iter([data]), name))
