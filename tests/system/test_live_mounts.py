"""``cove update --mount-add`` and ``--mount-rm``: mounts of a container that runs."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine import Engine
from harness.remapped import Remapped
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove")

SWAP = "mkdir -p /swap; while :; do ln -sfn /proc /swap/it; rm -rf /swap/it; mkdir /swap/it; done"


def _run(engine: Engine, *flags: str) -> None:
    engine.docker("run", "-d", "--name", "box", *flags, "busybox", "sleep", "600")


def _inside(engine: Engine, *command: str) -> str:
    return engine.docker("exec", "box", *command).out


def test_a_volume_comes_and_goes(daemon: Engine) -> None:
    daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "echo hi > /d/file")
    _run(daemon)
    daemon.cove("update", "--mount-add", "type=volume,source=data,target=/new/place", "box")
    assert _inside(daemon, "cat", "/new/place/file") == "hi\n"
    _inside(daemon, "sh", "-c", "echo more > /new/place/more")
    assert "in use" in daemon.docker("volume", "rm", "data", check=False).err
    shown = daemon.docker("inspect", "-f", "{{(index .Mounts 0).Name}} {{(index .Mounts 0).Destination}}", "box").out
    assert shown == "data /new/place\n"
    daemon.docker("restart", "-t", "0", "box")
    assert _inside(daemon, "cat", "/new/place/more") == "more\n"
    daemon.cove("update", "--mount-rm", "/new/place/", "box")
    assert _inside(daemon, "ls", "/new/place") == ""
    daemon.docker("volume", "rm", "data")
    daemon.docker("restart", "-t", "0", "box")
    assert daemon.docker("inspect", "-f", "{{len .Mounts}}", "box").out == "0\n"


def test_binds_of_directories_and_files(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    _run(daemon, "-v", f"{tmp_path}:/old")
    daemon.cove("update", "--mount-add", f"type=bind,source={tmp_path},target=/dir,readonly", "box")
    daemon.cove("update", "--mount-add", f"type=bind,source={tmp_path}/file,target=/etc/one", "box")
    assert _inside(daemon, "cat", "/dir/file", "/etc/one") == "texttext"
    assert "Read-only file system" in daemon.docker("exec", "box", "touch", "/dir/new", check=False).err
    daemon.cove("update", "--mount-rm", "/etc/one", "--mount-rm", "/old", "--mount-rm", "/dir", "box")
    assert _inside(daemon, "ls", "/dir", "/old").split() == ["/dir:", "/old:"]
    assert daemon.docker("inspect", "-f", "{{len .Mounts}} {{.HostConfig.Binds}}", "box").out == "0 []\n"


def test_of_a_stopped_container(daemon: Engine, tmp_path: Path) -> None:
    daemon.docker("create", "--name", "box", "busybox", "ls", "/dir")
    (tmp_path / "seen").touch()
    daemon.cove("update", "--mount-add", f"type=bind,source={tmp_path},target=/dir", "box")
    assert daemon.docker("start", "-a", "box").out == "seen\n"


def test_volumes_with_a_file_system_of_their_own(daemon: Engine) -> None:
    daemon.docker("volume", "create", "-o", "size=16m", "small")
    daemon.docker("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "fast")
    daemon.docker("run", "-d", "--name", "other", "-v", "fast:/d", "busybox", "sh", "-c", "echo hi > /d/x; sleep 600")
    _run(daemon)
    for name in ("small", "fast"):
        daemon.cove("update", "--mount-add", f"type=volume,source={name},target=/{name}", "box")
    assert "/dev/loop" in _inside(daemon, "df", "-m", "/small")
    assert _inside(daemon, "cat", "/fast/x") == "hi\n"
    _inside(daemon, "sh", "-c", "echo more > /fast/more")
    assert daemon.docker("exec", "other", "cat", "/d/more").out == "more\n"
    assert str(daemon.data_root) not in Path("/proc/mounts").read_text()
    daemon.cove("update", "--mount-rm", "/small", "--mount-rm", "/fast", "box")
    daemon.cove("volume", "resize", "small", "8M")  # nobody has it any more


def test_parts_of_volumes_and_images(daemon: Engine) -> None:
    daemon.docker(
        "run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "mkdir /d/sub; ln -s /etc /d/out; echo hi > /d/sub/x"
    )
    daemon.docker("tag", "busybox", "lent")
    _run(daemon)
    daemon.cove("update", "--mount-add", "type=volume,source=data,target=/part,volume-subpath=sub", "box")
    daemon.cove("update", "--mount-add", "type=image,source=lent,target=/image", "box")
    daemon.cove("update", "--mount-add", "type=image,source=lent,target=/etc-of-it,image-subpath=etc", "box")
    for _ in range(2):
        assert _inside(daemon, "cat", "/part/x") == "hi\n"
        assert _inside(daemon, "ls", "/image/bin/busybox", "/etc-of-it/passwd").split() == [
            "/etc-of-it/passwd",
            "/image/bin/busybox",
        ]
        assert "Read-only file system" in daemon.docker("exec", "box", "touch", "/image/x", check=False).err
        daemon.docker("restart", "-t", "0", "box")
    for part in ("out", "nonesuch"):
        add = f"type=volume,source=data,target=/o,volume-subpath={part}"
        done = daemon.cove("update", "--mount-add", add, "box", check=False)
        assert done.code == 1 and "cannot access path" in done.err
    daemon.cove("update", *(f"--mount-rm={path}" for path in ("/part", "/image", "/etc-of-it")), "box")
    assert _inside(daemon, "ls", "/part", "/image").split() == ["/image:", "/part:"]


def test_an_image_stays_for_who_mounts_it(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /file\n")
    daemon.docker("build", "-q", "-t", "lent", str(tmp_path))
    _run(daemon)
    daemon.cove("update", "--mount-add", "type=image,source=lent,target=/image", "box")
    assert "is using" in daemon.docker("rmi", "lent", check=False).err
    daemon.cove("update", "--mount-rm", "/image", "box")
    daemon.docker("rmi", "lent")


def test_memory(daemon: Engine) -> None:
    _run(daemon)
    daemon.cove("update", "--mount-add", "type=tmpfs,target=/fast,tmpfs-size=1m,tmpfs-mode=1750", "box")
    shown = _inside(daemon, "sh", "-c", "stat -c %a /fast; grep ' /fast ' /proc/mounts")
    assert shown.startswith("1750\ntmpfs /fast tmpfs rw,nosuid,nodev,noexec") and "size=1024k" in shown
    daemon.cove("update", "--mount-rm", "/fast", "box")
    assert _inside(daemon, "ls", "/fast") == ""


def test_binds_with_the_user_s_ids(daemon: Engine, tmp_path: Path) -> None:
    for name in ("mine", "named"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, 1000, 1001)
    _run(daemon, "-u", "8:12")
    add = f"type=bind,source={tmp_path}/mine,target=/mine,bind-idmap=match-user"
    daemon.cove("update", "--mount-add", add, "box")
    add = f"type=bind,source={tmp_path}/named,target=/named,bind-idmap=1000:70:1"
    daemon.cove("update", "--mount-add", add, "box")
    assert _inside(daemon, "stat", "-c", "%u:%g", "/mine", "/named") == "8:12\n70:1001\n"
    _inside(daemon, "touch", "/mine/made")
    made = (tmp_path / "mine" / "made").stat()
    assert (made.st_uid, made.st_gid) == (1000, 1001)


def test_in_a_user_namespace(remapped: Remapped, tmp_path: Path) -> None:
    remapped.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "mkdir /d/sub; echo hi > /d/sub/x")
    remapped.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    os.chown(tmp_path, 1000, 1000)
    for words in (
        "type=volume,source=data,target=/part,volume-subpath=sub",
        "type=tmpfs,target=/fast",
        "type=image,source=busybox,target=/image",
        f"type=bind,source={tmp_path},target=/mine,bind-idmap=match-user",
    ):
        remapped.cove("update", "--mount-add", words, "box")
    places = ("/part/x", "/fast", "/image/bin", "/mine")
    assert remapped.docker("exec", "box", "stat", "-c", "%u:%g", *places).out == "0:0\n" * 4
    remapped.docker("exec", "box", "sh", "-c", "touch /part/new /fast/new /mine/new")
    assert (tmp_path / "new").stat().st_uid == 1000


def test_propagation_and_recursion(daemon: Engine, tmp_path: Path) -> None:
    below = tmp_path / "source" / "below"
    below.mkdir(parents=True)
    with _mounted(tmp_path / "source", below):
        _run(daemon)
        for place, words in (("slave", "bind-propagation=rslave"), ("bare", "bind-recursive=disabled")):
            add = f"type=bind,source={tmp_path}/source,target=/{place},{words}"
            daemon.cove("update", "--mount-add", add, "box")
        assert _inside(daemon, "ls", "/slave/below", "/bare/below").split() == ["/bare/below:", "/slave/below:", "here"]
        (tmp_path / "source" / "late").mkdir()
        with _mounted(None, tmp_path / "source" / "late"):
            assert "here" in _inside(daemon, "ls", "/slave/late")
        assert "here" not in _inside(daemon, "ls", "/slave/late")


@contextlib.contextmanager
def _mounted(shared: Path | None, place: Path) -> Iterator[None]:
    """A tmpfs with a file at the place, below a mount that is ``shared``."""
    if shared is not None:
        subprocess.run(["mount", "--bind", shared, shared], check=True)
        subprocess.run(["mount", "--make-shared", shared], check=True)
    try:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
        try:
            (place / "here").touch()
            yield
        finally:
            subprocess.run(["umount", place], check=True)
    finally:
        if shared is not None:
            subprocess.run(["umount", shared], check=True)


@pytest.mark.needs("cgroup-v1")  # version 2 ends processes instead
def test_all_of_an_update_or_nothing(daemon: Engine, tmp_path: Path) -> None:
    """A limit that the kernel refuses takes the mount back."""
    fill = "dd if=/dev/zero of=/dev/shm/x bs=1M count=40 2>/dev/null; touch /full; sleep 600"
    daemon.docker("run", "-d", "--name", "box", "-m", "64m", "--memory-swap", "64m", "busybox", "sh", "-c", fill)
    eventually(lambda: daemon.docker("exec", "box", "test", "-e", "/full", check=False).code == 0)
    before = daemon.http("GET", "/containers/box/json").json()
    add = ("--mount-add", f"type=bind,source={tmp_path},target=/dir")
    done = daemon.cove("update", "-m", "8m", "--memory-swap", "8m", *add, "box", check=False)
    assert done.code == 1 and "memory" in done.err, done
    assert daemon.http("GET", "/containers/box/json").json() == before
    assert _inside(daemon, "sh", "-c", "grep -c ' /dir ' /proc/mounts || true") == "0\n"


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--mount-add=type=bind,source=/nonesuch,target=/x", "bind source path does not exist: /nonesuch"),
        ("--mount-add=type=image,source=nonesuch,target=/x", 'invalid mount config for type "image"'),
        ("--mount-add=type=bind,source=/etc,target=/taken", "Duplicate mount point: /taken"),
        ("--mount-add=type=bind,source=/etc,target=/proc/sys", "inside /proc"),
        ("--mount-add=type=bind,source=/etc,target=/bin/busybox", "is not a directory"),
        ("--mount-rm=/etc", "the container has no mount at /etc"),
    ],
)
def test_what_is_refused_changes_nothing(daemon: Engine, flag: str, words: str) -> None:
    _run(daemon, "-v", "/taken")
    before = daemon.http("GET", "/containers/box/json").json()
    done = daemon.cove("update", "--cpu-shares", "100", flag, "box", check=False)
    assert done.code == 1 and words in done.err
    assert daemon.http("GET", "/containers/box/json").json() == before


def test_links_lead_inside(daemon: Engine, tmp_path: Path) -> None:
    """A link of the container's to a place of the host is a place of the container."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "secret").touch()
    (tmp_path / "host").mkdir()
    _run(daemon)
    _inside(daemon, "ln", "-s", f"../../../../..{tmp_path}/host", "/way")
    daemon.cove("update", "--mount-add", f"type=bind,source={tmp_path}/source,target=/way", "box")
    assert os.listdir(tmp_path / "host") == []
    assert _inside(daemon, "ls", f"{tmp_path}/host") == "secret\n"


def test_a_place_that_is_swapped_for_a_link(daemon: Engine, tmp_path: Path) -> None:
    """Whatever happens meanwhile, nothing is mounted on the host or below the container's /proc."""
    daemon.docker("run", "-d", "--name", "box", "busybox", "sh", "-c", SWAP)
    for _ in range(10):
        done = daemon.cove("update", "--mount-add", f"type=bind,source={tmp_path},target=/swap/it", "box", check=False)
        if done.code == 0:
            daemon.cove("update", "--mount-rm", "/swap/it", "box", check=False)
    assert " /proc/" not in _inside(daemon, "sh", "-c", f"grep {tmp_path} /proc/self/mountinfo || :")
    assert [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "/swap/it" in line] == []
