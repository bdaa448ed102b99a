"""What ``-v``, ``--mount``, ``--tmpfs`` and ``--volumes-from`` put into a container."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.remapped import Remapped

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static")


def test_an_image(daemon: Engine) -> None:
    image = "type=image,src=busybox,dst=/other"
    read = daemon.cove(
        "run", "--rm", "--mount", image, "busybox", "sh", "-c", "ls /other/bin/busybox; touch /other/x", check=False
    )
    assert read.out == "/other/bin/busybox\n" and "Read-only file system" in read.err
    part = daemon.cove("run", "--rm", "--mount", f"{image},image-subpath=etc", "busybox", "ls", "/other")
    assert "passwd" in part.out.split()
    file = daemon.cove("run", "--rm", "--mount", f"{image},image-subpath=etc/passwd", "busybox", "cat", "/other")
    assert "root:x:0:0" in file.out


def test_an_image_of_several_layers_stays_for_who_mounts_it(daemon: Engine) -> None:
    daemon.docker("run", "--name", "box", "busybox", "sh", "-c", "echo more > /more")
    daemon.docker("commit", "box", "layered")
    daemon.docker("rm", "box")
    daemon.cove("run", "-d", "--name", "user", "--mount", "type=image,src=layered,dst=/i", "busybox", "sleep", "600")
    assert daemon.docker("exec", "user", "cat", "/i/more", "/i/etc/passwd").out.startswith("more\nroot:")
    assert daemon.docker("inspect", "-f", "{{(index .Mounts 0).Type}} {{(index .Mounts 0).RW}}", "user").out == (
        "image false\n"
    )
    refused = daemon.docker("rmi", "layered", check=False)
    assert refused.code == 1 and "is using" in refused.err
    daemon.docker("stop", "-t", "0", "user")
    daemon.docker("rmi", "-f", "layered")
    daemon.docker("start", "user")
    assert daemon.docker("exec", "user", "cat", "/i/more").out == "more\n"
    daemon.docker("rm", "-f", "user")


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ("type=image,src=no-such-image,dst=/i", 'invalid mount config for type "image": No such image: no-such-image'),
        (
            "type=image,src=busybox,dst=/i,image-subpath=../etc",
            "image subpath must be a relative path within the image",
        ),
        ("type=image,dst=/i", 'invalid mount config for type "image": field Source must not be empty'),
        ("type=volume,src=data,dst=/i,volume-subpath=/etc", "subpath must be a relative path within the volume"),
        ("type=bind,src=/tmp,dst=/i,bind-idmap=nobody", "'nobody' is neither match-user nor HOST:CONTAINER:COUNT"),
    ],
)
def test_what_is_refused(daemon: Engine, mount: str, words: str) -> None:
    failed = daemon.cove("create", "--mount", mount, "busybox", "true", check=False)
    assert failed.code == 1 and words in failed.err, failed.err


def test_parts_of_a_volume(daemon: Engine) -> None:
    make = "mkdir -p /d/a/b; echo here > /d/a/b/file; ln -s /etc /d/out; ln -s b /d/a/link"
    daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", make)
    mount = "type=volume,src=data,dst=/p,volume-subpath="
    assert daemon.docker("run", "--rm", "--mount", f"{mount}a/b", "busybox", "cat", "/p/file").out == "here\n"
    assert daemon.docker("run", "--rm", "--mount", f"{mount}a/link", "busybox", "cat", "/p/file").out == "here\n"
    assert daemon.docker("run", "--rm", "--mount", f"{mount}a/b/file", "busybox", "cat", "/p").out == "here\n"
    for part in ("out", "missing"):  # a link leads nowhere outside
        failed = daemon.docker("run", "--rm", "--mount", f"{mount}{part}", "busybox", "ls", "/p", check=False)
        assert "cannot access path" in failed.err and "no such file or directory" in failed.err, failed.err
    daemon.docker("create", "--name", "box", "--mount", f"{mount}a/b", "busybox", "true")
    assert b"here" in _copied(daemon, "box", "/p/file")


def _copied(engine: Engine, box: str, path: str) -> bytes:
    return engine.docker("cp", f"{box}:{path}", "-").out.encode()


def test_a_bind_with_the_user_s_ids(daemon: Engine, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    own = tmp_path / "own"
    own.mkdir()
    (own / "file").write_text("mine\n")
    for path in (own, own / "file"):
        os.chown(path, 1234, 1235)
    mount = f"type=bind,src={own},dst=/d,bind-idmap=match-user"
    work = "stat -c %u:%g /d/file; echo more >> /d/file; touch /d/new"
    assert daemon.cove("run", "--rm", "--mount", mount, "busybox", "sh", "-c", work).out == "0:0\n"
    assert (
        daemon.cove(
            "run", "--rm", "-u", "33:44", "--mount", mount, "busybox", "sh", "-c", work.replace("new", "newer")
        ).out
        == "33:44\n"
    )
    assert (
        daemon.cove(
            "run", "--rm", "-u", "daemon", "--mount", mount, "busybox", "sh", "-c", work.replace("new", "newest")
        ).out
        == "1:1\n"
    )
    for name in ("new", "newer", "newest"):
        assert ((own / name).stat().st_uid, (own / name).stat().st_gid) == (1234, 1235)
    assert (own / "file").read_text() == "mine\nmore\nmore\nmore\n"


def test_a_bind_with_other_ids(daemon: Engine, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").touch()
    os.chown(tmp_path / "file", 1000, 1001)
    mount = f"type=bind,src={tmp_path},dst=/d,bind-idmap=1000:70:10"
    shown = daemon.cove("run", "--rm", "--mount", mount, "busybox", "stat", "-c", "%u:%g", "/d/file", "/d")
    assert shown.out == "70:71\n0:0\n"
    daemon.cove("create", "--name", "box", "--mount", mount, "busybox", "true")
    assert daemon.http("GET", "/containers/box/json").json()["HostConfig"]["Mounts"][0]["BindOptions"] == {
        "IDMap": "1000:70:10"
    }


@pytest.mark.needs("cove")
def test_a_bind_with_the_user_s_ids_in_a_user_namespace(remapped: Remapped, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, 1234, 1235)
    mount = f"type=bind,src={own},dst=/d,bind-idmap=match-user"
    assert (
        remapped.cove("run", "--rm", "--mount", mount, "busybox", "sh", "-c", "stat -c %u:%g /d; touch /d/new").out
        == "0:0\n"
    )
    assert ((own / "new").stat().st_uid, (own / "new").stat().st_gid) == (1234, 1235)


@pytest.mark.needs("cove")
def test_volumes_in_a_user_namespace(remapped: Remapped) -> None:
    remapped.docker("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "fast")
    remapped.docker("run", "-d", "--name", "one", "-v", "fast:/d", "busybox", "sleep", "600")
    remapped.docker("exec", "one", "sh", "-c", "echo here > /d/file")
    shown = remapped.docker("run", "--rm", "-v", "fast:/d", "busybox", "sh", "-c", "cat /d/file; stat -c %u /d/file")
    assert shown.out == "here\n0\n"
    remapped.docker("rm", "-f", "one")
    image = remapped.cove(
        "run", "--rm", "--mount", "type=image,src=busybox,dst=/i", "busybox", "stat", "-c", "%u", "/i/bin"
    )
    assert image.out == "0\n"


def test_order_and_kinds_together(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("1.2.3.4 mine\n")
    words = [
        "--read-only",
        "--tmpfs",
        "/a/b/c:size=64k",
        "-v",
        "outer:/a",
        "-v",
        "inner:/a/b",
        "-v",
        f"{tmp_path}/hosts:/etc/hosts",
    ]
    daemon.docker("run", "--rm", "-v", "outer:/a", "busybox", "mkdir", "-p", "/a/b")
    work = "touch /a/x /a/b/y /a/b/c/z && cat /etc/hosts && ! touch /root/no 2>/dev/null && grep -c ' /a' /proc/mounts"
    assert daemon.docker("run", "--rm", *words, "busybox", "sh", "-c", work).out == "1.2.3.4 mine\n3\n"
    assert daemon.docker("run", "--rm", "-v", "inner:/i", "busybox", "ls", "/i").out.split() == ["c", "y"]


def test_sources_of_binds_that_are_missing(daemon: Engine, tmp_path: Path) -> None:
    daemon.docker("run", "--rm", "-v", f"{tmp_path}/made/here:/d", "busybox", "touch", "/d/x")
    assert (tmp_path / "made" / "here" / "x").exists()
    failed = daemon.docker(
        "run", "--rm", "--mount", f"type=bind,src={tmp_path}/not,dst=/d", "busybox", "true", check=False
    )
    assert f"bind source path does not exist: {tmp_path}/not" in failed.err
    daemon.cove(
        "run", "--rm", "--mount", f"type=bind,src={tmp_path}/asked,dst=/d,bind-create-src", "busybox", "touch", "/d/x"
    )
    assert (tmp_path / "asked" / "x").exists()


def test_recursion_of_binds(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    os.system(f"mount -t tmpfs tmpfs {tmp_path}/below")
    try:
        mount = f"type=bind,src={tmp_path},dst=/d"
        count = ["sh", "-c", "grep -c ' /d/below ' /proc/mounts; touch /d/below/x 2>/dev/null && echo writable"]
        run = lambda more: daemon.cove("run", "--rm", "--mount", f"{mount}{more}", "busybox", *count, check=False).out  # noqa: E731
        assert run("") == "1\nwritable\n"
        assert run(",bind-recursive=disabled").startswith("0\n")
        assert run(",readonly") == "1\n"
        assert run(",readonly,bind-recursive=writable") == "1\nwritable\n"
        assert run(",readonly,bind-recursive=readonly,bind-propagation=rprivate") == "1\n"
    finally:
        os.system(f"umount {tmp_path}/below")


def test_volumes_from_several_in_their_order(daemon: Engine) -> None:
    for name in ("first", "second"):
        daemon.docker(
            "run",
            "--name",
            name,
            "-v",
            f"{name}:/d",
            "-v",
            f"{name}x:/{name}",
            "busybox",
            "sh",
            "-c",
            f"echo {name} > /d/f",
        )
    words = ["--volumes-from", "first", "--volumes-from", "second:ro"]
    shown = daemon.docker(
        "run",
        "--rm",
        *words,
        "busybox",
        "sh",
        "-c",
        "cat /d/f; touch /first/x && ! touch /second/x 2>/dev/null && ls /",
    )
    assert shown.out.startswith("second\n") or shown.out.startswith("first\n")
    daemon.docker("rm", "first", "second")


@pytest.mark.needs("cove")
def test_the_data_root_on_another_disk(fresh_daemon: Daemon) -> None:
    fresh_daemon.cove("volume", "create", "--size", "16M", "small")
    words = ["-v", "plain:/a", "-v", "small:/b", "-v", "/c", "busybox", "sh", "-c"]
    work = "cat /a/x /b/x /c/x /x; echo here | tee /a/x /b/x /c/x > /x"
    fresh_daemon.docker("run", "--name", "box", *words, work, check=False)
    fresh_daemon.stop()
    before, moved = fresh_daemon.data_root, fresh_daemon.base / "moved"
    subprocess.run(["cp", "-a", "--sparse=always", str(before), str(moved)], check=True)
    shutil.rmtree(before)
    fresh_daemon.data_root = moved
    fresh_daemon.start()
    assert fresh_daemon.docker("start", "-a", "box").out == "here\n" * 4
    assert fresh_daemon.docker("inspect", "-f", "{{range .Mounts}}{{.Source}} {{end}}", "box").out.count("/moved/") == 3
    fresh_daemon.docker("rm", "-v", "box")
    fresh_daemon.stop()
    shutil.move(moved, before)
    fresh_daemon.data_root = before
    fresh_daemon.start()
