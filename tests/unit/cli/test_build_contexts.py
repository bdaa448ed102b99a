"""What ``cove build`` sends: which files of a directory, as which bytes, and what it says of what cannot be sent."""

import io
import os
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.cli.build_contexts.preparing import Directory, Remote, Stream, prepare
from cove.cli.failure import Failure
from cove.contexts import Selection, tar_pieces, walk
from cove.dockerfile.ignore import Matcher
from cove.errors import InvalidArgument

TEXT = b"FROM scratch\n"


def lay(root: Path, **files: str) -> Path:
    (root / "Dockerfile").write_bytes(TEXT)
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def unpacked(pieces: Iterator[bytes]) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        return {member.name: member for member in archive}


def sent(root: Path, dockerfile: str = "", **more: bytes) -> tuple[Directory, dict[str, tarfile.TarInfo]]:
    prepared = prepare(str(root), dockerfile, **{name: iter([value]) for name, value in more.items()})
    assert isinstance(prepared, Directory)
    return prepared, unpacked(prepared.pieces())


def test_a_directory_is_sent_as_the_stock_client_sends_it(tmp_path: Path) -> None:
    lay(tmp_path, a="1", sub__b="22")
    (tmp_path / "link").symlink_to("sub/b")
    (tmp_path / ("long" * 40)).write_text("x")
    (tmp_path / "ümläut").write_text("y")
    os.chown(tmp_path / "a", 7, 8)
    os.chmod(tmp_path / "a", 0o4751)
    os.utime(tmp_path / "a", ns=(1, 1_700_000_000_999_999_999))
    _, found = sent(tmp_path)
    assert set(found) == {"Dockerfile", "a", "link", "long" * 40, "sub", "sub/b", "ümläut"}
    file = found["a"]
    assert (file.mode, file.uid, file.gid, file.mtime, file.size) == (0o4751, 0, 0, 1_700_000_000, 1)
    assert found["link"].issym() and found["link"].linkname == "sub/b"
    assert found["sub"].isdir()


def test_names_that_are_no_text_and_old_times_survive(tmp_path: Path) -> None:
    name = os.fsdecode(b"no\xfftext\nat all")
    (tmp_path / name).write_text("x")
    os.utime(tmp_path / name, (-5, -5))
    entries = walk(str(tmp_path), Selection(Matcher(())))
    found = unpacked(tar_pieces(entries))
    assert found[name].mtime == -5


def test_what_is_ignored_is_not_sent_and_what_is_brought_back_is(tmp_path: Path) -> None:
    lay(tmp_path, _DOT_dockerignore="*\n!src\nsrc/*.o\n!src/deep/keep.o\n!odd/*/x", src__a="", src__b_DOT_o="")
    lay(tmp_path, src__deep__keep_DOT_o="", other__c="", odd__one__x="", odd__one__y="")
    _, found = sent(tmp_path)
    assert set(found) == {
        ".dockerignore", "Dockerfile", "odd", "odd/one", "odd/one/x", "src", "src/a", "src/deep", "src/deep/keep.o",
    }  # fmt: skip


def test_the_dockerfiles_own_ignore_file_comes_first(tmp_path: Path) -> None:
    lay(tmp_path, _DOT_dockerignore="a", build__Dockerfile="FROM scratch\n", a="", b="")
    (tmp_path / "build/Dockerfile.dockerignore").write_text("b\n")
    prepared, found = sent(tmp_path, str(tmp_path / "build/Dockerfile"))
    assert prepared.dockerfile == "build/Dockerfile"
    assert "a" in found
    assert "b" not in found


def test_a_dockerfile_from_outside_or_stdin_is_sent_hidden(tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    root = lay(tmp_path / "context", _DOT_dockerignore="x")
    (tmp_path / "Outside").write_bytes(b"FROM outside\n")
    for dockerfile, stdin in ((str(tmp_path / "Outside"), {}), ("-", {"stdin": b"FROM outside\n"})):
        prepared, found = sent(root, dockerfile, **stdin)
        assert prepared.text == b"FROM outside\n"
        assert found[prepared.dockerfile].size == len(b"FROM outside\n")
        with tarfile.open(fileobj=io.BytesIO(b"".join(prepared.pieces()))) as archive:
            ignore = archive.extractfile(".dockerignore")
            assert ignore is not None
            assert ignore.read().decode().split() == ["x", prepared.dockerfile]


def test_only_what_is_needed_is_sent(tmp_path: Path) -> None:
    lay(tmp_path, src__a="", src__sub__b="", srcs="", other__c="")
    entries = walk(str(tmp_path), Selection(Matcher(()), ("Dockerfile",), needed=("src/sub", "nothing")))
    assert [entry.path for entry in entries] == ["Dockerfile", "src", "src/sub", "src/sub/b"]


def test_sockets_are_passed_over_and_devices_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path)
    with socket.socket(socket.AF_UNIX) as bound:
        monkeypatch.chdir(tmp_path)
        bound.bind("socket")
        _, found = sent(tmp_path)
    assert set(found) == {"Dockerfile"}
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Failure, match="fifo is a named pipe"):
        sent(tmp_path)
    (tmp_path / ".dockerignore").write_text("fifo\n")
    sent(tmp_path)


def test_a_file_that_changes_while_it_is_read_is_no_part_of_a_build(tmp_path: Path) -> None:
    lay(tmp_path, a="12345")
    entries = list(walk(str(tmp_path), Selection(Matcher(()))))
    for text in ("1", "1234567"):
        (tmp_path / "a").write_text(text)
        with pytest.raises(InvalidArgument, match="changed while it was read"):
            list(tar_pieces(entries))


def test_a_hundred_thousand_files_need_no_more_memory_than_a_few(tmp_path: Path) -> None:
    names = [f"{number:06d}" for number in range(3000)]
    for name in names:
        (tmp_path / name).touch()
    pieces = tar_pieces(walk(str(tmp_path), Selection(Matcher(()))))
    assert max(map(len, pieces)) < 1 << 17


def test_a_tree_deeper_than_a_path_can_name_is_refused_in_words(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_DIRECTORY)
    for _ in range(300):
        os.mkdir("d" * 20, dir_fd=here)
        deeper = os.open("d" * 20, os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    with pytest.raises(InvalidArgument, match="file name too long"):
        list(walk(str(tmp_path), Selection(Matcher(()))))


@pytest.mark.parametrize("begin", [b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"])
def test_a_compressed_tar_on_stdin_is_passed_on(begin: bytes) -> None:
    prepared = prepare("-", "x/Dockerfile", iter([begin[:1], begin[1:], b"rest"]))
    assert isinstance(prepared, Stream)
    assert b"".join(prepared.body) == begin + b"rest"
    assert prepared.dockerfile == "x/Dockerfile"


def test_a_tar_on_stdin_is_passed_on_and_a_dockerfile_wrapped() -> None:
    tar = b"".join(tar_pieces((), (("a", b"1"),)))
    prepared = prepare("-", "", iter([tar]))
    assert isinstance(prepared, Stream) and prepared.text is None
    old = tar[:257] + bytes(8) + tar[265:]
    old = old[:148] + b"%06o\0 " % (sum(old[:148]) + 256 + sum(old[156:512])) + old[156:]
    prepared = prepare("-", "", iter([old]))
    assert isinstance(prepared, Stream) and prepared.text is None
    prepared = prepare("-", "", iter([TEXT]))
    assert isinstance(prepared, Stream) and prepared.text == TEXT
    assert set(unpacked(iter(prepared.body))) == {"Dockerfile"}


@pytest.mark.parametrize(
    "url", ["https://host/repo.git#main:sub", "git@host:repo.git", "http://host/a.tar.gz", "github.com/a/b"]
)
def test_what_is_elsewhere_is_fetched(url: str) -> None:
    assert prepare(url) == Remote(url, "")
    assert prepare(url, "-", iter([TEXT])) == Remote(url, "-", TEXT)


@pytest.mark.parametrize(
    ("positional", "dockerfile", "message"),
    [
        ("-", "-", "invalid argument: can't use stdin for both build context and dockerfile"),
        ("nowhere", "", 'unable to prepare context: path "nowhere" not found'),
        ("file", "", "unable to prepare context: context must be a directory: file"),
        ("empty", "", "unable to evaluate symlinks in Dockerfile path: lstat "),
        ("empty", "gone", "lstat "),
    ],
)
def test_what_cannot_be_prepared_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, positional: str, dockerfile: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("empty").mkdir()
    with pytest.raises(Failure) as caught:
        prepare(positional, dockerfile)
    assert message in caught.value.message


def test_an_empty_stdin_and_two_dockerfiles_are_refused() -> None:
    with pytest.raises(Failure, match="unable to detect context type from STDIN: EOF"):
        prepare("-", "", iter([]))
    with pytest.raises(Failure, match="ambiguous Dockerfile source"):
        prepare("-", "other", iter([TEXT]))
    with pytest.raises(Failure, match="more than"):
        prepare("-", "", iter([TEXT * 1000] * 100))


def test_a_bad_ignore_file_is_said(tmp_path: Path) -> None:
    lay(tmp_path, _DOT_dockerignore="a[\n")
    with pytest.raises(Failure, match="error checking context"):
        prepare(str(tmp_path))
