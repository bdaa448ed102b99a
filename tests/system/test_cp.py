"""``docker cp``, and the requests behind it."""

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.base_image import small_tar
from harness.engine import BIN, Engine
from harness.terminal import on_terminal

TAR = {"Content-Type": "application/x-tar"}
SECRET = "cove-test-secret"
SWAP = "mkdir -p /swap/real/etc; while :; do ln -sfn /outside /swap/it; rm -rf /swap/it; mkdir /swap/it; done"


@pytest.fixture(params=["running", "stopped", "created"])
def box(request: pytest.FixtureRequest, daemon: Engine) -> Iterator[Engine]:
    """The engine with a container ``box`` in each state."""
    mounts = ["-v", "/volume", "-v", "fixed:/fixed:ro"]
    if request.param == "created":
        daemon.docker("create", "--name", "box", *mounts, "busybox", "sleep", "600")
    else:
        daemon.docker("run", "-d", "--name", "box", *mounts, "busybox", "sleep", "600")
    if request.param == "stopped":
        daemon.docker("kill", "box")
    yield daemon


def _stat(engine: Engine, path: str, name: str = "box") -> dict[str, object]:
    answer = engine.http("HEAD", f"/containers/{name}/archive?path={path}")
    assert answer.status == 200, answer
    found: dict[str, object] = json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))
    return found


def _members(engine: Engine, path: str) -> list[str]:
    answer = engine.http("GET", f"/containers/box/archive?path={path}")
    assert answer.status == 200, answer
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as tar:
        return tar.getnames()


def _put(engine: Engine, path: str, data: bytes, name: str = "box") -> tuple[int, str]:
    answer = engine.http("PUT", f"/containers/{name}/archive?path={path}", data, TAR)
    return answer.status, json.loads(answer.body)["message"] if answer.body else ""


def test_there_and_back(box: Engine, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "file").write_bytes(bytes(range(256)) * 20_000)
    (source / "deep" / "er" / "file").write_text("hello")
    (source / "link").symlink_to("deep")
    box.docker("cp", str(source), "box:/tmp/new")
    box.docker("cp", "box:/tmp/new", str(tmp_path / "back"))
    assert (tmp_path / "back" / "file").read_bytes() == (source / "file").read_bytes()
    assert (tmp_path / "back" / "deep" / "er" / "file").read_text() == "hello"
    assert (tmp_path / "back" / "link").readlink() == Path("deep")


def test_a_volume(box: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the volume")
    box.docker("cp", str(tmp_path / "file"), "box:/volume/file")
    done = box.docker("run", "--rm", "--volumes-from", "box", "busybox", "cat", "/volume/file")
    assert done.out == "in the volume"
    assert _members(box, "/volume") == ["volume", "volume/file"]


def test_what_cannot_be_written(box: Engine, tmp_path: Path) -> None:
    tar = small_tar({"file": "text"})
    assert _put(box, "/fixed", tar) == (403, "mounted volume is marked read-only")
    assert _put(box, "/nonesuch", tar) == (404, "Could not find the file /nonesuch in container box")
    assert _put(box, "/etc/passwd", tar) == (400, "extraction point is not a directory")
    assert _put(box, "/tmp", b"junk" * 1000)[0] == 400
    done = box.docker("cp", "box:/nonesuch", str(tmp_path), check=False)
    assert "Could not find the file /nonesuch in container box" in done.err


def test_kinds_that_do_not_replace_each_other(box: Engine) -> None:
    box.docker("cp", "-", "box:/tmp", input=_text(small_tar({"a/in": "", "b": ""})))
    strict = "/tmp&noOverwriteDirNonDir=true"
    assert (
        _put(box, strict, small_tar({"a": "now a file"}))[1]
        == 'a: cannot overwrite directory "/tmp/a" with non-directory'
    )
    assert _put(box, "/tmp", small_tar({"a": "now a file", "b": "other"})) == (200, "")
    assert _stat(box, "/tmp/a")["size"] == len("now a file")


def test_stat_of_a_path(box: Engine) -> None:
    links = io.BytesIO()
    with tarfile.open(fileobj=links, mode="w") as tar:
        for name, target in (("link", "/etc"), ("lost", "nowhere"), ("out", "../../../../etc/passwd")):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(entry)
    assert _put(box, "/", links.getvalue()) == (200, "")
    found = _stat(box, "/etc/passwd")
    assert (found["name"], found["mode"], found["linkTarget"]) == ("passwd", 0o644, "")
    found = _stat(box, "/link")
    assert (found["name"], found["mode"], found["size"], found["linkTarget"]) == ("link", 134218239, 4, "/etc")
    assert _stat(box, "/lost")["linkTarget"] == "/nowhere"
    assert _stat(box, "/out")["linkTarget"] == "/etc/passwd"
    assert (_stat(box, "/link/")["name"], _stat(box, "/link/")["mode"]) == ("link", 2147484141)
    assert [_stat(box, path)["name"] for path in ("/", ".", "/etc/..", "/etc/.")] == ["/", ".", "/", "."]
    assert "link/passwd" in _members(box, "/link/")
    assert _members(box, "/link") == ["link"]
    assert "./passwd" in [name if name.startswith(".") else f"./{name}" for name in _members(box, "/etc/.")]
    for path in ("/nonesuch", "/lost/"):
        assert box.http("HEAD", f"/containers/box/archive?path={path}").status == 404
        assert box.http("GET", f"/containers/box/archive?path={path}").status == 404


def test_links_in_the_way_lead_inside(box: Engine, tmp_path: Path) -> None:
    """``/tmp/way`` leads to /home and ``/tmp/up`` out of the root, for somebody who does not look."""
    links = io.BytesIO()
    with tarfile.open(fileobj=links, mode="w") as tar:
        for name, target in (("way", "/home"), ("up", f"../../../../..{tmp_path}")):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    assert _put(box, "/tmp", links.getvalue())[0] == 200
    assert _put(box, "/tmp", small_tar({"way/file": "", "up/file": ""}))[0] == 200
    assert _put(box, "/tmp/way/", small_tar({"other": ""}))[0] == 200
    assert list(tmp_path.iterdir()) == []
    assert sorted(_members(box, "/home")) == ["home", "home/file", "home/other"]


def test_owner(box: Engine) -> None:
    owned = io.BytesIO()
    with tarfile.open(fileobj=owned, mode="w") as tar:
        entry = tarfile.TarInfo("owned")
        entry.uid, entry.gid = 1234, 5_000_000
        tar.addfile(entry)
    assert _put(box, "/tmp", owned.getvalue())[0] == 200
    with tarfile.open(fileobj=io.BytesIO(box.http("GET", "/containers/box/archive?path=/tmp/owned").body)) as tar:
        assert (tar.getmembers()[0].uid, tar.getmembers()[0].gid) == (1234, 5_000_000)


def test_owner_of_the_container(daemon: Engine) -> None:
    daemon.docker("create", "--name", "box", "--user", "nobody:daemon", "busybox", "true")
    assert _put(daemon, "/tmp&copyUIDGID=true", small_tar({"file": ""})) == (200, "")
    with tarfile.open(fileobj=io.BytesIO(daemon.http("GET", "/containers/box/archive?path=/tmp/file").body)) as tar:
        assert (tar.getmembers()[0].uid, tar.getmembers()[0].gid) == (65534, 1)


def test_a_read_only_root(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "--read-only", "-v", "/volume", "busybox", "sleep", "600")
    tar = small_tar({"file": "text"})
    for _ in range(2):
        assert _put(daemon, "/tmp", tar) == (403, "container rootfs is marked read-only")
        assert _put(daemon, "/volume", tar) == (200, "")
        daemon.docker("kill", "box", check=False)


def test_a_tmpfs_and_etc_of_a_running_container(daemon: Engine, tmp_path: Path) -> None:
    daemon.docker("run", "-d", "--name", "box", "--tmpfs", "/scratch", "busybox", "sleep", "600")
    (tmp_path / "file").write_text("text")
    daemon.docker("cp", str(tmp_path / "file"), "box:/scratch/file")
    assert daemon.docker("exec", "box", "cat", "/scratch/file").out == "text"
    daemon.docker("cp", "box:/etc/hosts", str(tmp_path))
    assert "localhost" in (tmp_path / "hosts").read_text()


def test_a_paused_container(daemon: Engine, tmp_path: Path) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    daemon.docker("pause", "box")
    daemon.docker("cp", "box:/etc/passwd", str(tmp_path))
    daemon.docker("unpause", "box")
    assert "root" in (tmp_path / "passwd").read_text()


def test_a_directory_that_is_swapped_for_a_link_to_the_host(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text(SECRET)
    swap = SWAP.replace("/outside", f"{tmp_path}/outside")
    daemon.docker("run", "-d", "--name", "box", "busybox", "sh", "-c", swap)
    for _ in range(40):
        _put(daemon, "/swap/it", small_tar({"file": "text"}))
        _put(daemon, "/swap", small_tar({"it/file": "text"}))
        answer = daemon.http("GET", "/containers/box/archive?path=/swap/it/")
        assert SECRET.encode() not in answer.body
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret"]


def test_a_client_that_goes_in_the_middle(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    daemon.docker("exec", "box", "sh", "-c", "head -c 64m /dev/zero > /large")
    for command in (["docker", "cp", "box:/large", "-"], ["docker", "export", "box"]):
        with daemon.spawned(*command) as client:
            assert client.stdout is not None
            assert len(client.stdout.read(1 << 20)) == 1 << 20
            client.kill()
    daemon.docker("stop", "-t", "0", "box")
    with daemon.spawned("docker", "cp", "box:/large", "-") as client:
        assert client.stdout is not None
        assert len(client.stdout.read(1 << 20)) == 1 << 20
        client.kill()
    daemon.docker("start", "box")


def test_with_our_command_line(daemon: Engine, tmp_path: Path) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    (tmp_path / "file").write_text("text")
    daemon.cove("cp", str(tmp_path / "file"), "box:/tmp/")
    daemon.cove("cp", "box:/tmp/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "text"
    assert daemon.cove("diff", "box").out == "C /tmp\nA /tmp/file\n"


@pytest.mark.needs("cove")
@pytest.mark.parametrize("end", ["1", ""])
def test_holes_stay_with_our_command_line(daemon: Engine, tmp_path: Path, end: str) -> None:
    """``end``: what follows the last hole."""
    make = "cd /root; printf one > holes; printf two | dd of=holes bs=1M seek=64 conv=notrunc; truncate -s 256M holes"
    daemon.docker("run", "--name", "box", "busybox", "sh", "-c", f"{make}; printf '%s' '{end}' >> holes")
    daemon.cove("cp", "box:/root", str(tmp_path / "copied"))
    holes = tmp_path / "copied" / "holes"
    assert holes.stat().st_size == (256 << 20) + len(end)
    assert holes.stat().st_blocks * 512 < 1 << 20
    with holes.open("rb") as file:
        assert file.read(4) == b"one\0"
        file.seek(64 << 20)
        assert file.read(4) == b"two\0"
        file.seek(256 << 20)
        assert file.read() == end.encode()


@pytest.mark.needs("cove")
@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_a_terminal_is_told_how_much(daemon: Engine, tmp_path: Path, quiet: tuple[str, ...]) -> None:
    daemon.docker("create", "--name", "box", "busybox")
    (tmp_path / "file").write_bytes(bytes(3_000_000))
    ways = ((f"{tmp_path}/file", "box:/copied"), ("box:/copied", f"{tmp_path}/back"), ("box:/copied", "box:/again"))
    for source, target in ways:
        argv = [str(BIN / "cove"), "cp", *quiet, source, target]
        with on_terminal(argv, daemon.client_environment()) as terminal:
            if quiet:
                assert not terminal.shows("copied")
            else:
                terminal.expect("Successfully copied 3.00")
            assert terminal.wait() == 0


def test_start_after_a_copy(daemon: Engine) -> None:
    daemon.docker("create", "--name", "box", "busybox", "cat", "/tmp/file")
    daemon.docker("cp", "-", "box:/tmp", input=_text(small_tar({"file": "hello"})))
    assert daemon.docker("start", "-a", "box").out == "hello"


def _text(data: bytes) -> str:
    return data.decode("latin-1")
