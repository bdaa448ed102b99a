"""Clones, snapshots, backups and looks into volumes whose files do not lie in a directory of the data root."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.volume_plugin import VolumePlugin

pytestmark = pytest.mark.needs("root", "cove", "docker-cli", "busybox-static")

FILL = "cd /d; mkdir sub; echo hi > sub/file; ln sub/file hard; chown 5:6 sub; chmod 750 sub"
LOOK = "cd /d; stat -c '%n %a %u:%g %h' sub sub/file; cat hard; ls -A"
FULL = "sub 750 5:6 2\nsub/file 644 0:0 2\nhi\nhard\nsub\n"


@pytest.fixture
def plugin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VolumePlugin]:
    engine = request.getfixturevalue("fresh_daemon" if "fresh_daemon" in request.fixturenames else "daemon")
    made = VolumePlugin(engine.exec_root / "plugins" / f"{_driver()}.sock", tmp_path / "far")
    yield made
    made.close()


def _driver() -> str:
    return f"cove-test-{os.getpid()}"


def _bind(engine: Engine, directory: Path) -> None:
    directory.mkdir()
    engine.docker("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={directory}", "data")


MAKE: dict[str, Callable[[Engine, Path], object]] = {
    "disk": lambda engine, _: engine.docker("volume", "create", "-o", "size=16m", "data"),
    "device": lambda engine, tmp_path: _bind(engine, tmp_path / "device"),
    "plug-in": lambda engine, _: engine.docker("volume", "create", "-d", _driver(), "data"),
}
"""How the volume ``data`` comes to be."""


@pytest.fixture(params=MAKE)
def full(request: pytest.FixtureRequest, daemon: Engine, plugin: VolumePlugin, tmp_path: Path) -> Iterator[Engine]:
    """The volume ``data`` with files in it; every mount of a plug-in has its end."""
    MAKE[request.param](daemon, tmp_path)
    daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", FILL)
    yield daemon
    assert len(plugin.asked("Mount")) == len(plugin.asked("Unmount")) and not plugin.mounted.get("data")
    assert [line for line in Path("/proc/mounts").read_text().splitlines() if str(daemon.data_root) in line] == []


def _seen(engine: Engine, volume: str) -> str:
    return engine.docker("run", "--rm", "-v", f"{volume}:/d:nocopy", "busybox", "sh", "-c", LOOK).out


def test_clone_and_snapshots(full: Engine) -> None:
    full.cove("volume", "clone", "data", "copy")
    assert _seen(full, "copy") == FULL
    size = '{{index .Options "size"}}'
    assert full.docker("volume", "inspect", "-f", size, "copy").out in ("16m\n", "\n")
    full.cove("volume", "snapshot", "data", "one")
    full.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "echo more > /d/new; rm /d/hard")
    assert full.cove("volume", "diff", "data", "one").out == "D /hard\nA /new\n"
    full.cove("volume", "restore", "data", "one")
    assert _seen(full, "data") == FULL
    assert full.cove("volume", "diff", "data", "one").out == ""


def test_backups(full: Engine, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    full.cove("volume", "backup", "data", "-o", str(file))
    full.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "echo more > /d/new; rm /d/hard")
    (tmp_path / "cut").write_bytes(file.read_bytes()[:-20])
    assert full.cove("volume", "restore", "data", "-i", str(tmp_path / "cut"), check=False).code == 1
    assert full.cove("volume", "browse", "-q", "data").out == "new\nsub\n"
    full.cove("volume", "restore", "data", "-i", str(file))
    assert _seen(full, "data") == FULL


def test_browse_and_rename(full: Engine, tmp_path: Path) -> None:
    """A plug-in's volume is known to others by its name, all others can have another one."""
    assert full.cove("volume", "browse", "data", "cat", "/hard").out == "hi\n"
    (tmp_path / "new").write_text("new\n")
    full.cove("volume", "browse", "data", "cp", str(tmp_path / "new"), ":/sub/")
    assert full.docker("run", "--rm", "-v", "data:/d", "busybox", "cat", "/d/sub/new").out == "new\n"
    full.cove("volume", "browse", "data", "cp", ":/sub/new", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "new\n"
    driver = full.docker("volume", "inspect", "-f", "{{.Driver}}", "data").out.strip()
    done = full.cove("volume", "rename", "data", "other", check=False)
    if driver == "local":
        assert done.code == 0 and _seen(full, "other").startswith("sub 750")
    else:
        assert f"rename data: the driver {driver} knows it by this name" in done.err


def test_a_writer_is_paused(full: Engine) -> None:
    full.docker(
        "run", "-d", "--name", "writer", "-v", "data:/d", "busybox", "sh", "-c", "echo x > /d/x; exec sleep 600"
    )
    assert "writer" in full.cove("volume", "snapshot", "data", "one").err
    refused = full.cove("volume", "restore", "data", "one", check=False)
    assert refused.code == 1 and "in use by running containers" in refused.err
    full.docker("rm", "-f", "writer")


def test_in_memory_it_is_what_a_container_has(daemon: Engine) -> None:
    daemon.docker("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "data")
    daemon.docker("run", "-d", "--name", "box", "-v", "data:/d", "busybox", "sleep", "600")
    daemon.docker("exec", "box", "sh", "-c", FILL)
    daemon.cove("volume", "clone", "data", "copy")
    assert _seen(daemon, "copy") == FULL
    daemon.docker("rm", "-f", "box")
    assert daemon.cove("volume", "browse", "-q", "data").out == ""
    daemon.cove("volume", "snapshot", "data", "one")
    refused = daemon.cove("volume", "restore", "data", "one", check=False)
    assert "is in memory" in refused.err


def test_a_job_of_a_killed_daemon_has_its_unmount(fresh_daemon: Daemon, plugin: VolumePlugin) -> None:
    fresh_daemon.docker("volume", "create", "-d", _driver(), "data")
    script = "head -c 30000000 /dev/urandom > /d/big"
    fresh_daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", script)
    with fresh_daemon.spawned("cove", "volume", "backup", "data", "-o", "-") as client:
        assert client.stdout is not None and client.stdout.read(1)
        assert len(plugin.mounted["data"]) == 1
        fresh_daemon.kill9()
    fresh_daemon.start()
    assert plugin.mounted["data"] == set()
    fresh_daemon.docker("volume", "rm", "data")
    assert not (fresh_daemon.data_root / "volumes" / "data").exists()
