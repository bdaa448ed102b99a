"""A layer's image shows, byte for byte, what unpacking its tar makes; and is well formed."""

import io
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.kernel import layer_images, mounts
from cove.layers.erofs import image as erofs
from cove.layers.erofs.indexer import Indexer
from cove.layers.tar.reader import Limits
from cove.layers.tar.stream import FileStream, Truncated
from cove.layers.unpack import unpack
from harness.erofs_check import Image
from unit.layers.tars import Tar

pytestmark = [pytest.mark.root, pytest.mark.needs("erofs")]

MANY = int(os.environ.get("COVE_TEST_ENTRIES", "20000"))
"""Files of one directory."""
STARTED = time.time() - 60
FAR = 5 << 30
"""Bytes before the last file of the tar that is larger than 32 bits can say."""


def odd_tree() -> bytes:
    """Everything that a layer may have."""
    tar = Tar()
    tar.directory("etc", mode=0o2755, mtime=1_000_000_000, uid=7, gid=8)
    tar.add("etc/setuid", b"x" * 1000, mode=0o4751, pax_headers={"SCHILY.xattr.user.note": "word"})
    capability = {"SCHILY.xattr.security.capability": "\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"}
    tar.add("etc/capable", b"c", pax_headers=capability)
    several = {f"SCHILY.xattr.user.n{number}": "v" * number for number in range(40)}
    tar.add("etc/annotated", b"", pax_headers={**several, "SCHILY.xattr.trusted.t": "t"})
    tar.add("etc/whole-blocks", os.urandom(4 * 512)).add("etc/odd", os.urandom(3 * 512 + 1)).add("etc/empty")
    tar.link("etc/second-name", "etc/odd").link("second-name-elsewhere", "etc/odd")
    tar.symlink("short-link", "etc").symlink("long-link", "l" * 1000).symlink("longest-link", "/" + "m" * 4000)
    tar.add("n" * 255, b"long name").add("/".join(["deep"] * 60) + "/end", b"deep")
    tar.add("names/\udcff\udcfe", b"no UTF-8").add("names/ü", b"UTF-8")
    tar.add("dev/null", kind=b"3", devmajor=1, devminor=3, mode=0o666)
    tar.add("dev/disk", kind=b"4", devmajor=8, devminor=300).add("dev/pipe", kind=b"6")
    tar.add("etc/.wh.gone").add(".wh.gone-too").directory("opaque").add("opaque/.wh..wh..opq").add("opaque/new", b"1")
    tar.add("future", b"1", mtime=4_000_000_000).add("owner", b"1", uid=70_000, gid=1 << 24)
    tar.add("fraction", b"1", pax_headers={"mtime": "1234567890.987654321"})
    return tar.bytes()


def crowd() -> bytes:
    tar = Tar()
    for number in range(MANY):
        tar.add(f"crowd/{number:06}-{'x' * (number % 40)}", str(number).encode())
    return tar.bytes()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "layer.erofs").mkdir()
    for name in ("image", "directory"):
        (tmp_path / name).mkdir()
    umask = os.umask(0)
    yield tmp_path
    os.umask(umask)
    if os.path.ismount(tmp_path / "image"):
        mounts.unmount(str(tmp_path / "image"))


def indexed(pieces: Iterator[bytes], place: Path) -> None:
    """An image of a tar that is beside it already, mounted."""
    layer = place / "layer.erofs"
    indexer = Indexer(pieces, Limits())
    indexer.run()
    size = (layer / "tar").stat().st_size
    with (layer / "index").open("wb") as index:
        erofs.write(indexer.inodes.top, size, index)
    Image(layer / "index", size).check()
    mount, target = layer_images.mount(str(layer)), os.open(place / "image", os.O_PATH)
    mounts.attach(mount, target)
    os.close(mount)
    os.close(target)


def described(top: Path) -> dict[bytes, tuple[object, ...]]:
    """Everything that can be seen of a tree, but inode numbers and what depends on the file system's blocks."""
    found: dict[bytes, tuple[object, ...]] = {}
    first_names: dict[int, bytes] = {}
    for directory, folders, files in os.walk(os.fsencode(top)):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = os.path.join(directory, name)
            shown = os.path.relpath(path, os.fsencode(top))
            first = first_names.setdefault(os.lstat(path).st_ino, shown)
            found[shown] = (*_status(path), first, *_content(path))
    return found


def _status(path: bytes) -> tuple[object, ...]:
    """Whiteouts, and directories that the tar has not, have no time of their own: unpacked, it is the present."""
    status = os.lstat(path)
    is_directory = stat.S_ISDIR(status.st_mode)
    timeless = is_directory or (stat.S_ISCHR(status.st_mode) and not status.st_rdev)
    modified = 0 if timeless and status.st_mtime > STARTED else status.st_mtime_ns
    links = 0 if is_directory else status.st_nlink
    return oct(status.st_mode), status.st_uid, status.st_gid, modified, status.st_rdev, links


def _content(path: bytes) -> tuple[object, ...]:
    mode = os.lstat(path).st_mode
    attributes = sorted((name, os.getxattr(path, name, follow_symlinks=False)) for name in _xattrs(path))
    if stat.S_ISLNK(mode):
        return os.readlink(path), attributes
    return Path(os.fsdecode(path)).read_bytes() if stat.S_ISREG(mode) else b"", attributes


def _xattrs(path: bytes) -> list[str]:
    return os.listxattr(path, follow_symlinks=False)


@pytest.mark.parametrize("make", [odd_tree, crowd])
def test_it_shows_what_unpacking_makes(place: Path, make: object) -> None:
    data = make()  # type: ignore[operator]
    (place / "layer.erofs/tar").write_bytes(data)
    pieces = [data[at : at + (1 << 18)] for at in range(0, len(data), 1 << 18)]
    indexed(iter(pieces), place)
    top = os.open(place / "directory", os.O_RDONLY)
    unpack(iter(pieces), top, Limits(), True)
    os.close(top)
    image, directory = described(place / "image"), described(place / "directory")
    assert image.keys() == directory.keys()
    assert image == directory
    assert len(image) > 60


@pytest.mark.parametrize("cut", [0, 1024, 1024 + 700, 1024 + 50_000])
def test_headers_alone_say_the_same(tmp_path: Path, cut: int) -> None:
    """Of a file that is known only the headers are read; where it ends too early that is seen all the same."""
    data = odd_tree()[:-1024] + Tar().add("last", os.urandom(100_000)).bytes()
    data = data[: len(data) - cut]
    (tmp_path / "tar").write_bytes(data)
    written = []
    with (tmp_path / "tar").open("rb") as tar:
        for source in (iter([data]), FileStream(tar.fileno())):
            out = io.BytesIO()
            indexer = Indexer(source, Limits())
            try:
                indexer.run()
            except Truncated:
                written.append(b"truncated")
                continue
            erofs.write(indexer.inodes.top, len(data), out)
            written.append(out.getvalue())
    assert written[0] == written[1]


def test_content_beyond_four_gigabytes(place: Path) -> None:
    """The tar is a sparse file: what is far is a large file's zeros."""
    large = Tar().add("large", b"", size=FAR).raw()[:512]
    last = Tar().add("last", b"far away").bytes()
    with (place / "layer.erofs/tar").open("wb") as tar:
        tar.write(large)
        tar.seek(512 + FAR)
        tar.write(last)

    def pieces() -> Iterator[bytes]:
        yield large
        zeros = bytes(1 << 24)
        yield from (zeros for _ in range(FAR >> 24))
        yield last

    indexed(pieces(), place)
    assert (place / "image/last").read_bytes() == b"far away"
    assert (place / "image/large").stat().st_size == FAR
    with (place / "image/large").open("rb") as file:
        file.seek(FAR - 10)
        assert file.read() == bytes(10)


def test_the_check_finds_what_is_wrong(place: Path) -> None:
    data = odd_tree()
    (place / "layer.erofs/tar").write_bytes(data)
    indexed(iter([data]), place)
    index = place / "layer.erofs/index"
    whole = index.read_bytes()
    wrong = 0
    for at in range(1024, len(whole), 97):
        index.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            Image(index, len(data)).check()
        except Exception:
            wrong += 1
    assert wrong > (len(whole) - 1024) / 97 / 8, "the rest is owners, times and the targets of links"
