"""What an image has at the place of an empty volume is copied into it."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static")

LIST = "cd /d && stat -c '%n %F %a %u:%g %h %s' a hard link setid fifo sub sub/deep . | sort"


@pytest.fixture
def image(daemon: Engine, tmp_path: Path) -> str:
    return make_image(daemon, tmp_path)


def make_image(engine: Engine, directory: Path) -> str:
    """busybox with something of every kind in /d, and VOLUME /d."""
    archive = directory / "image.tar"
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, mode, more in ENTRIES:
            tar.addfile(*_entry(name, kind, mode, **more))
    engine.docker("create", "--name", "base", "busybox", "true")
    engine.docker("cp", "-a", str(archive), "base:/image.tar")
    engine.docker("rm", "base")
    with tarfile.open(archive, "a", format=tarfile.PAX_FORMAT) as tar:
        tar.add(BUSYBOX, "bin/busybox")
        for applet in (
            "sh",
            "stat",
            "sort",
            "cat",
            "ls",
            "readlink",
            "sleep",
            "touch",
            "mkdir",
            "true",
            "find",
            "wc",
            "mount",
        ):
            tar.addfile(*_entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777, linkname="busybox"))
    engine.docker("import", "-c", "VOLUME /d", str(archive), "content")
    return "content"


BUSYBOX = "/bin/busybox"
ENTRIES: list[tuple[str, bytes, int, dict[str, object]]] = [
    ("d", tarfile.DIRTYPE, 0o1750, {"uid": 5, "gid": 6}),
    ("d/a", tarfile.REGTYPE, 0o640, {"uid": 7, "gid": 8, "data": b"content\n", "xattr": "value"}),
    ("d/hard", tarfile.LNKTYPE, 0o640, {"linkname": "d/a"}),
    ("d/link", tarfile.SYMTYPE, 0o777, {"linkname": "/d/a", "uid": 9}),
    ("d/setid", tarfile.REGTYPE, 0o6755, {"uid": 7, "gid": 8, "data": b"x"}),
    ("d/fifo", tarfile.FIFOTYPE, 0o600, {"uid": 1}),
    ("d/sub", tarfile.DIRTYPE, 0o711, {"uid": 2}),
    ("d/sub/deep", tarfile.REGTYPE, 0o600, {"data": b"y" * 100_000}),
    ("l", tarfile.SYMTYPE, 0o777, {"linkname": "/d"}),
    ("bin", tarfile.DIRTYPE, 0o755, {}),
    ("proc", tarfile.DIRTYPE, 0o755, {}),
]


def _entry(name: str, kind: bytes, mode: int, **more: object) -> tuple[tarfile.TarInfo, io.BytesIO]:
    made = tarfile.TarInfo(name)
    made.type, made.mode, made.mtime = kind, mode, 1_000_000_000
    data = more.pop("data", b"")
    assert isinstance(data, bytes)
    made.size = len(data)
    xattr = more.pop("xattr", None)
    if xattr is not None:
        made.pax_headers = {"SCHILY.xattr.user.test": str(xattr)}
    for field, value in more.items():
        setattr(made, field, value)
    return made, io.BytesIO(data)


EXPECTED = """. directory 1750 5:6 3 …
a regular file 640 7:8 2 8
fifo fifo 600 1:0 1 0
hard regular file 640 7:8 2 8
link symbolic link 777 9:0 1 4
setid regular file 6755 7:8 1 1
sub directory 711 2:0 2 …
sub/deep regular file 600 0:0 1 100000
"""


def shown(listing: str) -> str:
    return "".join(
        f"{line.rsplit(' ', 1)[0]} …\n" if " directory " in line else f"{line}\n" for line in listing.splitlines()
    )


@pytest.mark.parametrize("spec", ["data:/d", "/d", "data:/l", "data:/d:ro"])
def test_everything_is_copied(daemon: Engine, image: str, spec: str) -> None:
    where = "/l" if "/l" in spec else "/d"
    listing = daemon.docker("run", "--rm", "-v", spec, image, "sh", "-c", LIST.replace("/d ", f"{where} "))
    assert shown(listing.out) == EXPECTED
    if spec.startswith("data"):
        place = Path(daemon.docker("volume", "inspect", "-f", "{{.Mountpoint}}", "data").out.strip())
        assert os.getxattr(place / "a", "user.test") == b"value"
        assert (place / "a").stat().st_mtime == place.stat().st_mtime == 1_000_000_000


def test_of_the_image_s_own_volume(daemon: Engine, image: str) -> None:
    daemon.docker("create", "--name", "box", image, "true")
    name = daemon.docker("inspect", "-f", "{{(index .Mounts 0).Name}}", "box").out.strip()
    listing = daemon.docker("run", "--rm", "-v", f"{name}:/e", "busybox", "cat", "/e/a")
    assert listing.out == "content\n"


@pytest.mark.parametrize("mount", ["-v=data:/d:nocopy", "--mount=type=volume,src=data,dst=/d,volume-nocopy"])
def test_not_with_nocopy(daemon: Engine, image: str, mount: str) -> None:
    assert daemon.docker("run", "--rm", mount, image, "ls", "-A", "/d").out == ""


def test_only_into_an_empty_volume(daemon: Engine, image: str) -> None:
    daemon.docker("run", "--rm", "-v", "data:/x", "busybox", "touch", "/x/mine")
    assert daemon.docker("run", "--rm", "-v", "data:/d", image, "ls", "/d").out == "mine\n"


def test_into_a_volume_that_another_has(daemon: Engine, image: str) -> None:
    daemon.docker("run", "-d", "--name", "one", "-v", "data:/x", "busybox", "sleep", "600")
    daemon.docker("create", "--name", "two", "-v", "data:/d", image, "true")
    assert daemon.docker("exec", "one", "cat", "/x/a").out == "content\n"
    assert daemon.docker("exec", "one", "ls", "-A", "/x").out.split() == ["a", "fifo", "hard", "link", "setid", "sub"]
    daemon.docker("rm", "-f", "one", "two")


def test_volumes_from_brings_what_was_copied(daemon: Engine, image: str) -> None:
    daemon.docker("create", "--name", "one", "-v", "data:/d", image, "true")
    read = daemon.docker(
        "run", "--rm", "--volumes-from", "one:ro", "busybox", "sh", "-c", "cat /d/a; touch /d/x", check=False
    )
    assert read.out == "content\n" and "Read-only file system" in read.err


@pytest.mark.needs("cove")
def test_a_daemon_that_is_killed_leaves_it_empty_or_full(fresh_daemon: Daemon, tmp_path: Path) -> None:
    image = make_image(fresh_daemon, tmp_path)
    half = Path(fresh_daemon.docker("volume", "inspect", "-f", "{{.Mountpoint}}", _volume(fresh_daemon)).out.strip())
    with fresh_daemon.spawned("docker", "create", "-v", "data:/d", image, "true"):
        fresh_daemon.kill9()
    (half.parent / "_copy").mkdir()  # as a job that was killed leaves it
    (half.parent / "_copy" / "a").touch()
    fresh_daemon.start()
    assert list(half.parent.iterdir()) == [half]
    listing = fresh_daemon.docker("run", "--rm", "-v", "data:/d", image, "sh", "-c", LIST)
    assert shown(listing.out) == EXPECTED
    fresh_daemon.docker("run", "--rm", "-v", "other:/d", image, "mkdir", "/d/.cove-copy-up")


def _volume(engine: Engine) -> str:
    return engine.docker("volume", "create", "data").out.strip()
