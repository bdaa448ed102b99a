"""What a layer's tar may hold, and what comes of it on disk."""

import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from cove.errors import InvalidArgument
from cove.layers.tar.reader import Limits
from cove.layers.tree import OPAQUE
from unit.layers.conftest import Unpack
from unit.layers.tars import Tar


def is_whiteout(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def test_kinds_modes_and_times(unpacked: Unpack, root: Path) -> None:
    tar = Tar().directory("./", mode=0o711, mtime=5).directory("d", mode=0o2750, mtime=100.5)
    tar.add("d/file", b"data", mode=0o4755, mtime=7.25).symlink("d/link", "../x").link("hard", "d/file")
    tar.add("fifo", kind=tarfile.FIFOTYPE, mode=0o600)
    done = unpacked(tar.bytes())
    assert (done.entries, done.size) == (6, 4 + len("../x"))
    assert (root / "d/file").read_bytes() == b"data"
    assert stat.S_IMODE((root / "d/file").stat().st_mode) == 0o4755
    assert (root / "d/file").stat().st_mtime_ns == 7_250_000_000
    assert (root / "d").stat().st_mtime == 100.5 and root.stat().st_mtime == 5
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o2750
    assert stat.S_IMODE(root.stat().st_mode) == 0o711
    assert os.readlink(root / "d/link") == "../x"
    assert (root / "hard").stat().st_ino == (root / "d/file").stat().st_ino
    assert stat.S_ISFIFO((root / "fifo").stat().st_mode)


@pytest.mark.parametrize("size", [1, 513, 1 << 20])
def test_pieces_may_end_anywhere(unpacked: Unpack, root: Path, size: int) -> None:
    unpacked(Tar().add("a", b"x" * 3000).add("b", b"y").bytes(), size)
    assert (root / "a").read_bytes() == b"x" * 3000 and (root / "b").read_bytes() == b"y"


def test_missing_parents_are_made(unpacked: Unpack, root: Path) -> None:
    unpacked(Tar().add("a/b/c", b"x").bytes())
    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o755


def test_extended_attributes_but_not_overlayfs_own(unpacked: Unpack, root: Path) -> None:
    headers = {"SCHILY.xattr.user.x": "1", "SCHILY.xattr.user.overlay.redirect": "/etc"}
    tar = Tar().add("f", pax_headers=headers).directory("d", pax_headers=headers).symlink("l", "f")
    unpacked(tar.bytes())
    assert os.listxattr(root / "f") == os.listxattr(root / "d") == ["user.x"]


@pytest.mark.root
def test_owners_capabilities_and_devices(unpacked: Unpack, root: Path) -> None:
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    headers = {"SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape")}
    tar = Tar().add("f", b"x", uid=12, gid=34, mode=0o6755, pax_headers=headers).directory("d", uid=1, gid=2)
    tar.add("l", kind=tarfile.SYMTYPE, linkname="f", uid=5, gid=6)
    tar.add("null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)
    unpacked(tar.bytes())
    found = (root / "f").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12, 34, 0o6755)
    assert os.getxattr(root / "f", "security.capability") == capability
    assert (root / "d").stat().st_gid == 2 and (root / "l").lstat().st_uid == 5
    assert (root / "null").stat().st_rdev == os.makedev(1, 3)


@pytest.mark.root
def test_directories_that_hand_down_their_group(unpacked: Unpack, root: Path) -> None:
    unpacked(Tar().directory("d", mode=0o2775, gid=50).add("d/f").directory("d/e").bytes())
    assert (root / "d/f").stat().st_gid == 0
    assert stat.S_IMODE((root / "d/e").stat().st_mode) == 0o755


def test_sparse_files_stay_sparse(unpacked: Unpack, root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("sparse")
    with (place / "holes").open("wb") as file:
        file.seek(10 << 20)
        file.write(b"end")
    archive = subprocess.run(["tar", "-S", "-cf", "-", "holes"], cwd=place, check=True, capture_output=True).stdout
    unpacked(archive)
    assert (root / "holes").read_bytes() == (place / "holes").read_bytes()
    assert (root / "holes").stat().st_blocks < 100


def test_whiteouts(unpacked: Unpack, root: Path) -> None:
    tar = Tar().add("gone/.wh.file").add(".wh..wh.plnk").add("both/x").add("both2/.wh.x").add("both2/x", b"new")
    unpacked(tar.add("both/.wh.x").bytes())
    assert is_whiteout(root / "gone/file")
    assert not is_whiteout(root / "both/x"), "what the layer has itself stays"
    assert (root / "both2/x").read_bytes() == b"new"
    assert sorted(os.listdir(root)) == ["both", "both2", "gone"]


@pytest.mark.root
@pytest.mark.parametrize("order", ["whiteout first", "whiteout last"])
def test_a_directory_in_place_of_a_lower_one_is_opaque(unpacked: Unpack, root: Path, order: str) -> None:
    tar = Tar().add(".wh.d") if order == "whiteout first" else Tar()
    tar.directory("d").add("d/f")
    unpacked((tar.add(".wh.d") if order == "whiteout last" else tar).bytes())
    assert os.getxattr(root / "d", OPAQUE) == b"y" and (root / "d/f").exists()


@pytest.mark.root
def test_opaque_directories(unpacked: Unpack, root: Path) -> None:
    unpacked(Tar().add("d/f").add("d/.wh..wh..opq").bytes())
    assert os.getxattr(root / "d", OPAQUE) == b"y" and os.listdir(root / "d") == ["f"]


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh..."])
def test_whiteouts_of_nothing(unpacked: Unpack, name: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid whiteout"):
        unpacked(Tar().add(name).bytes())


class TestTheLastOfSeveralWins:
    def test_file_over_all_kinds(self, unpacked: Unpack, root: Path) -> None:
        tar = Tar().add("f", b"1").symlink("l", "f").directory("d").add("d/x").add("d/y/z")
        for name in "fld":
            tar.add(name, b"last")
        unpacked(tar.bytes())
        assert [(root / name).read_bytes() for name in "fld"] == [b"last"] * 3

    def test_directory_over_file_and_directory(self, unpacked: Unpack, root: Path) -> None:
        tar = Tar().add("f").directory("d", mode=0o700, mtime=1).add("d/x").directory("f").add("f/y")
        unpacked(tar.directory("d", mode=0o751, mtime=9).bytes())
        assert (root / "f/y").exists() and (root / "d/x").exists()
        assert (stat.S_IMODE((root / "d").stat().st_mode), (root / "d").stat().st_mtime) == (0o751, 9)

    def test_link_over_its_own_target(self, unpacked: Unpack, root: Path) -> None:
        unpacked(Tar().add("f", b"1").link("f", "f").link("g", "f").link("g", "f").bytes())
        assert (root / "f").read_bytes() == b"1" and (root / "f").stat().st_nlink == 2

    def test_link_in_place_of_a_directory_that_is_kept_open(self, unpacked: Unpack, root: Path) -> None:
        unpacked(Tar().add("d/a").directory("e").symlink("d", "e").add("d/b").bytes())
        assert os.listdir(root / "e") == ["b"]


class TestNothingLeavesTheRoot:
    def test_absolute_names_are_below_it(self, unpacked: Unpack, root: Path) -> None:
        unpacked(Tar().add("/abs/f", b"x").add("/../g", b"y").bytes())
        assert (root / "abs/f").read_bytes() == b"x" and (root / "g").read_bytes() == b"y"

    @pytest.mark.parametrize("name", ["../outside", "a/../../outside", "./../outside"])
    def test_names_that_lead_out(self, unpacked: Unpack, name: str) -> None:
        with pytest.raises(InvalidArgument, match="path leads out of the root"):
            unpacked(Tar().add(name, b"bad").bytes())

    @pytest.mark.parametrize("target", ["..", "/..", "../..", "a/../.."])
    def test_links_above_it_end_at_it(self, unpacked: Unpack, root: Path, target: str) -> None:
        unpacked(Tar().directory("a").symlink("l", target).add("l/outside", b"inside").bytes())
        assert (root / "outside").read_bytes() == b"inside"

    def test_absolute_links_lead_below_it(self, unpacked: Unpack, root: Path) -> None:
        unpacked(Tar().directory("usr/lib").symlink("lib", "/usr/lib").add("lib/f", b"x").bytes())
        assert (root / "usr/lib/f").read_bytes() == b"x" and (root / "lib").is_symlink()

    def test_a_file_over_a_link_does_not_write_through_it(self, unpacked: Unpack, root: Path) -> None:
        unpacked(Tar().symlink("l", "../outside").add("l", b"bad").bytes())
        assert (root / "l").read_bytes() == b"bad" and not (root / "l").is_symlink()

    def test_whiteouts_through_links(self, unpacked: Unpack, root: Path) -> None:
        unpacked(Tar().symlink("l", "..").add("l/.wh.outside").bytes())
        assert is_whiteout(root / "outside")

    @pytest.mark.parametrize("target", ["../outside", "/outside", "l/outside", "missing", "d"])
    def test_hard_links(self, unpacked: Unpack, root: Path, target: str) -> None:
        with pytest.raises(InvalidArgument, match=r"^h: (hard link to|path leads out)"):
            unpacked(Tar().directory("d").symlink("l", "..").link("h", target).bytes())
        assert not (root / "h").exists()

    def test_hard_link_to_a_link_is_a_link(self, unpacked: Unpack, root: Path) -> None:
        unpacked(Tar().symlink("l", "../outside").link("h", "l").bytes())
        assert os.readlink(root / "h") == "../outside"

    def test_links_that_go_round(self, unpacked: Unpack) -> None:
        with pytest.raises(InvalidArgument, match=r"^a/f: "):
            unpacked(Tar().symlink("a", "b").symlink("b", "a").add("a/f").bytes())

    def test_attributes_of_a_directory_that_became_a_link(self, unpacked: Unpack, root: Path) -> None:
        tar = Tar().directory("usr").symlink("u", "usr").directory("usr/d", mode=0o700)
        unpacked(tar.symlink("u/d", "/").directory("u/e", mode=0o711).bytes())
        assert stat.S_IMODE(root.stat().st_mode) != 0o700
        assert stat.S_IMODE((root / "usr/e").stat().st_mode) == 0o711


class TestRefusals:
    @pytest.mark.parametrize(
        ("tar", "message"),
        [
            (Tar().add("a/" + "n" * 256), "name is longer than 255 bytes"),
            (Tar().add("/".join("d" * 300)), "path has more than 256 components"),
            (Tar().add("."), "names the root"),
            (Tar().add("f").add("f/x"), "f/x: Not a directory"),
            (Tar().add("f", pax_headers={"uid": "99999999999"}), "f: owner 99999999999:"),
            (Tar().add("f", kind=b"Q"), "unsupported tar entry type"),
            (Tar().symlink("l", ""), "l: No such file"),
            (Tar().add("null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3), "device nodes are not allowed"),
        ],
    )
    def test_names_the_entry(self, unpacked: Unpack, tar: Tar, message: str) -> None:
        with pytest.raises(InvalidArgument, match=message):
            unpacked(tar.bytes(), devices=False)

    def test_depth_by_way_of_links_is_bounded(self, unpacked: Unpack) -> None:
        deep = "/".join("d" * 250)
        with pytest.raises(InvalidArgument, match="Too many levels"):
            unpacked(Tar().directory(deep).symlink("s", deep).add("s/" + "/".join("e" * 200)).bytes())

    def test_deep_trees_can_be_replaced(self, unpacked: Unpack, root: Path) -> None:
        unpacked(Tar().add("/".join("d" * 256)).add("d", b"").bytes())
        assert (root / "d").is_file()

    def test_more_directories_than_are_kept_open(self, unpacked: Unpack, root: Path) -> None:
        tar = Tar()
        for turn in range(2):
            for number in range(600):
                tar.add(f"{number}/{turn}")
        unpacked(tar.bytes())
        assert len(os.listdir(root)) == 600

    def test_limits_hold(self, unpacked: Unpack) -> None:
        with pytest.raises(InvalidArgument, match="more than 10 bytes unpacked"):
            unpacked(Tar().add("f", b"x" * 11).bytes(), limits=Limits(total=10))
