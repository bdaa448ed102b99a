"""Packages, the tree that they are unpacked into, and the list of applets."""

import io
import lzma
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from cove.errors import InvalidArgument
from cove.images.bootstrap.busybox import applet_table, applets
from cove.images.bootstrap.deb import Deb
from cove.images.bootstrap.keyring import dearmor
from cove.images.bootstrap.packages import find_stanzas
from cove.images.bootstrap.tree import Tree
from harness.debian_mirror import COMPRESSORS, MADE, directory, entry, make_ar, make_deb, make_tar, regular

COMPRESSORS["zst"] = zstd.compress
BEGIN, END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
TAR = make_tar([regular("a", b"x" * 9999)])
Entries = list[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with (tmp_path / "spool").open("w+b") as spool:
        yield Tree(spool)


def deb(tmp_path: Path, content: bytes) -> Deb:
    path = tmp_path / "x.deb"
    path.write_bytes(content)
    return Deb(path, "pkg 1.0")


def unpack(tree: Tree, tmp_path: Path, *entries: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]) -> None:
    tree.unpack(deb(tmp_path, make_deb("pkg", "1.0", "amd64", list(entries))))


def written(tree: Tree, tmp_path: Path) -> dict[str, tarfile.TarInfo]:
    tree.write(tmp_path / "out.tar", MADE + 1)
    with tarfile.open(tmp_path / "out.tar") as tar:
        return {member.name: member for member in tar}


@pytest.mark.parametrize("compression", ["xz", "gz", "zst", ""])
def test_deb_of_each_compression(compression: str, tmp_path: Path) -> None:
    content = b"x" * 3_000_001
    package = deb(tmp_path, make_deb("pkg", "1.0", "amd64", [directory("./"), regular("./a", content)], compression))
    assert package.control() == {"package": "pkg", "version": "1.0", "architecture": "amd64"}
    found = {item.info.name: item.content.read() if item.content else None for item in package.data()}
    assert found == {".": None, "./a": content}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "no Debian package of format 2"),
        ({"debian-binary": b"3.0\n"}, "no Debian package of format 2"),
        ({"debian-binary": b"2.0\n"}, "has no data.tar"),
        ({"debian-binary": b"2.0\n", "data.tar.bz2": b""}, "compression that is not supported"),
        ({"debian-binary": b"2.0\n", "data.tar.xz": b"nonsense"}, "is damaged"),
        ({"debian-binary": b"2.0\n", "data.tar.xz": lzma.compress(b"nonsense" * 99)}, "is damaged"),
        ({"debian-binary": b"2.0\n", "data.tar.xz": lzma.compress(TAR)[:-20]}, "is damaged"),
        ({"debian-binary": b"2.0\n", "data.tar": TAR[:5000]}, "is damaged"),
    ],
)
def test_deb_that_is_none(members: dict[str, bytes], message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=rf"pkg 1\.0.*{message}"):
        list(deb(tmp_path, make_ar(members)).data())


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    whole = make_deb("pkg", "1.0", "amd64", [regular("./a", b"some content")])
    for length in range(0, len(whole) - 1, 7):
        with pytest.raises(InvalidArgument):
            list(deb(tmp_path, whole[:length]).data())


def test_header_that_lies(tmp_path: Path) -> None:
    good = make_ar({"debian-binary": b"2.0\n"})
    for bad in (good.replace(b"4         `", b"-4        `"), good.replace(b"`\n", b"`x"), good + good[8:]):
        with pytest.raises(InvalidArgument, match=r"pkg 1\.0"):
            deb(tmp_path, bad)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_package_or_a_clear_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory_name:
        for head in (b"", b"!<arch>\n"):
            with pytest.raises(InvalidArgument):
                list(deb(Path(directory_name), head + content).data())


def test_tree_keeps_modes_owners_and_times(tree: Tree, tmp_path: Path) -> None:
    setuid, content = regular("./usr/bin/su", b"su", 0o4755)
    setuid.uid, setuid.gid = 1, 42
    unpack(tree, tmp_path, directory("./usr"), (setuid, content), entry("./usr/bin/s", tarfile.LNKTYPE, "./usr/bin/su"))
    tree.file("etc/x", b"1")
    out = written(tree, tmp_path)
    assert list(out) == ["etc", "etc/x", "usr", "usr/bin", "usr/bin/s", "usr/bin/su"]
    assert (out["usr/bin/s"].mode, out["usr/bin/s"].uid, out["usr/bin/s"].gid) == (0o4755, 1, 42)
    assert (out["usr/bin/su"].type, out["usr/bin/su"].linkname) == (tarfile.LNKTYPE, "usr/bin/s")
    assert (out["usr/bin/s"].mtime, out["etc/x"].mtime) == (MADE, MADE + 1)
    assert tree.newest == MADE


def test_tree_follows_links_below_its_root_only(tree: Tree, tmp_path: Path) -> None:
    unpack(
        tree,
        tmp_path,
        directory("./usr/bin"),
        entry("./bin", tarfile.SYMTYPE, "usr/bin"),
        regular("./bin/a", b"a"),
        entry("./up", tarfile.SYMTYPE, "../../../../etc"),
        regular("./up/b", b"b"),
        entry("./abs", tarfile.SYMTYPE, "/etc"),
        regular("./abs/c", b"c"),
        directory("./bin"),
    )
    out = written(tree, tmp_path)
    assert {"usr/bin/a", "etc/b", "etc/c"} <= set(out)
    assert out["bin"].type == tarfile.SYMTYPE


@pytest.mark.parametrize(
    "entries",
    [
        [regular("../a", b"")],
        [regular("/a", b"")],
        [entry("./a", tarfile.LNKTYPE, "../../etc/passwd")],
        [entry("./a", tarfile.LNKTYPE, "./etc/passwd")],
        [entry("./l", tarfile.SYMTYPE, "/etc/passwd"), entry("./a", tarfile.LNKTYPE, "./l")],
        [entry("./loop", tarfile.SYMTYPE, "loop"), regular("./loop/a", b"")],
        [regular("./file", b""), regular("./file/a", b"")],
        [regular("./d/f", b""), regular("./d", b"")],
        [regular("./f", b""), directory("./f")],
        [entry("./dev/sda", tarfile.BLKTYPE)],
        [entry("./dev/null", tarfile.CHRTYPE)],
        [entry("./pipe", tarfile.FIFOTYPE)],
    ],
)
def test_tree_refuses(entries: Entries, tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        unpack(tree, tmp_path, *entries)


def test_stanzas_across_pieces() -> None:
    stanzas = [f"Package: p{number}\nX: {'y' * (number * 37 % 5000)}\n" for number in range(2000)]
    index = io.BytesIO("\n".join(stanzas).encode())
    found = list(find_stanzas(index, frozenset({"p0", "p77", "p1999", "p"})))
    assert [stanza.split(b"\n")[0] for stanza in found] == [b"Package: p0", b"Package: p77", b"Package: p1999"]


def test_applets_are_asked_of_the_program(tmp_path: Path) -> None:
    program = tmp_path / "busybox"
    program.write_text('#!/bin/sh\n[ $# = 1 ] && [ "$1" = --list ] && [ -z "$HOME" ] && printf \'sh\\nash\\n[\\n\'\n')
    assert applets(program) == ["[", "ash", "sh"]


def test_applets_are_names_only(tmp_path: Path) -> None:
    program = tmp_path / "busybox"
    program.write_text("#!/bin/sh\nprintf 'sh\\n..\\n.\\n../x\\n/x\\n-x\\n'\n")
    assert applets(program) == ["sh"]


@pytest.mark.parametrize("path", ["", ".", "..", "bin/..", "bin/"])
def test_tree_refuses_a_path_without_a_name(path: str, tree: Tree) -> None:
    with pytest.raises(InvalidArgument):
        tree.file(path, b"")


def test_applets_of_another_processor_are_read_in_it(tmp_path: Path) -> None:
    names = [f"applet{letter}" for letter in "abcdefghijkl"] + ["busybox", "cat", "sh", "wget", "zcat"]
    table = "".join(f"{name}\0" for name in sorted(["[", "[[", *names]))
    noise = b"\x7fELF\2\1\1" + b"\0" * 11 + b"zz\0"
    program = tmp_path / "busybox"
    program.write_bytes(noise + table.encode() + b"abc\0more\0" + noise)
    assert applets(program) == sorted(["[", "[[", *names])
    assert applet_table(b"") == []


def test_program_without_applets(tmp_path: Path) -> None:
    program = tmp_path / "busybox"
    program.write_bytes(b"\x7fELF")
    with pytest.raises(InvalidArgument, match="no list of applets"):
        applets(program)


@pytest.mark.parametrize("text", ["", BEGIN, f"{BEGIN}\n\nabc", f"{BEGIN}\n\na*\n{END}\n"])
def test_key_block_that_is_none(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"keys\.asc: "):
        dearmor(text.encode(), "keys.asc")


def test_key_blocks_with_and_without_headers() -> None:
    block = BEGIN + "\n{}\nYWJj\n=abcd\n" + END + "\n"
    assert dearmor((block.format("") + "text\n" + block.format("Version: 1\nComment: x\n")).encode(), "x") == b"abcabc"
